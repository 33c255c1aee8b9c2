/* What main.c is written with. No header of a model has a name with a hyphen. */
#ifndef FIRMWARE_IO_H
#define FIRMWARE_IO_H

#include <stddef.h>
#include <stdint.h>

/* Text for the console of the emulator or debugger. */
void print(const char *text);

/* End the program; any other code than 0 is a failure. */
_Noreturn void finish(int code);

void print_whole(int64_t number);

/* Four digits and an exponent, as 9.991e-01. */
void print_float(float number);

/* The number of a half-precision float by its bits. */
float from_half(uint16_t bits);

/* The place of the largest value; that of the first NaN, if there is one. */
size_t largest(const float *values, size_t count);

/* How many values are further from what is expected than allowed. NaN is expected where NaN stands, and an infinity
 * where the same one stands; where an infinite difference is allowed, each value will do. */
size_t off(const float *found, const float *expected, const float *allowed, size_t count);
size_t off_halves(const uint16_t *found, const float *expected, const float *allowed, size_t count);

/* How many whole numbers of `bytes` bytes differ, except where `any` is 1. */
size_t off_whole(const void *found, const void *expected, const uint8_t *any, size_t count, size_t bytes);

#endif
