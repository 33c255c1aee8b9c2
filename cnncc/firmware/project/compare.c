/* Numbers as text, and outputs beside what was expected of them; nothing of a C library. */
#include "firmware-io.h"

void print_whole(int64_t number)
{
    char text[21], *at = text + sizeof text - 1;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    *at = 0;
    do
        *--at = (char)('0' + rest % 10);
    while (rest /= 10);
    if (number < 0)
        *--at = '-';
    print(at);
}

void print_float(float number)
{
    int exponent = 0;
    if (number != number) {
        print("nan");
        return;
    }
    print(number < 0 ? "-" : "");
    number = number < 0 ? -number : number;
    if (number > 3.4028235e38f) {
        print("inf");
        return;
    }
    for (; number >= 10; number /= 10)
        exponent++;
    for (; number > 0 && number < 1; number *= 10)
        exponent--;
    uint32_t digits = (uint32_t)(number * 1000 + 0.5f);
    if (digits == 10000) {
        digits = 1000;
        exponent++;
    }
    int size = exponent < 0 ? -exponent : exponent;
    char text[] = {
        (char)('0' + digits / 1000), '.', (char)('0' + digits / 100 % 10), (char)('0' + digits / 10 % 10),
        (char)('0' + digits % 10), 'e', exponent < 0 ? '-' : '+', (char)('0' + size / 10), (char)('0' + size % 10), 0,
    };
    print(text);
}

float from_half(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 31, rest = bits & 0x3FF;
    union { uint32_t bits; float number; } made;
    if (exponent == 0) {
        float small = (float)rest * 0x1p-24f;
        return sign ? -small : small;
    }
    made.bits = sign | (exponent == 31 ? 0x7F800000u : (exponent + 112) << 23) | rest << 13;
    return made.number;
}

size_t largest(const float *values, size_t count)
{
    size_t best = 0;
    for (size_t place = 1; place < count && values[best] == values[best]; place++)
        if (values[place] > values[best] || values[place] != values[place])
            best = place;
    return best;
}

static int is_off(float found, float expected, float allowed)
{
    float difference = found > expected ? found - expected : expected - found;
    if (found == expected || (found != found && expected != expected) || allowed > 3.4028235e38f)
        return 0;
    return !(difference <= allowed);
}

size_t off(const float *found, const float *expected, const float *allowed, size_t count)
{
    size_t number = 0;
    for (size_t place = 0; place < count; place++)
        number += (size_t)is_off(found[place], expected[place], allowed[place]);
    return number;
}

size_t off_halves(const uint16_t *found, const float *expected, const float *allowed, size_t count)
{
    size_t number = 0;
    for (size_t place = 0; place < count; place++)
        number += (size_t)is_off(from_half(found[place]), expected[place], allowed[place]);
    return number;
}

size_t off_whole(const void *found, const void *expected, const uint8_t *any, size_t count, size_t bytes)
{
    const uint8_t *one = found, *other = expected;
    size_t number = 0;
    for (size_t place = 0; place < count; place++) {
        int same = 1;
        for (size_t byte = 0; byte < bytes; byte++)
            same &= *one++ == *other++;
        number += !same && !any[place];
    }
    return number;
}
