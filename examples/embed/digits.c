/* Which digits are in these pictures? A program in C99 around a network that cnncc compiled.
 *
 *     cnncc compile examples/digits.py -o build
 *     cc -std=c99 -O2 -Ibuild examples/embed/digits.c build/digits.o build/digits_weights.o -o build/digits
 *     build/digits picture.pgm …
 *
 * Pictures are binary PGM files ("P5") of 8 by 8 grey values, white ink on black.
 */
#include <stdint.h>
#include <stdio.h>

#include "digits.h"
#include "picture.h"

enum { SLACK = DIGITS_ALIGNMENT - 1 };

static const char *const labels[DIGITS_LABEL_COUNT] = DIGITS_LABELS;

/* What the network works in: aligned, and zero before the first call, as static memory is. */
static unsigned char memory[DIGITS_WORKSPACE_BYTES + SLACK];

static void *workspace(void)
{
    return memory + (DIGITS_ALIGNMENT - (uintptr_t)memory % DIGITS_ALIGNMENT) % DIGITS_ALIGNMENT;
}

static int largest(const float *y)
{
    int i, best = 0;
    for (i = 1; i < DIGITS_OUTPUT_SIZE; i++)
        if (y[i] > y[best])
            best = i;
    return best;
}

int main(int argc, char **argv)
{
    float x[DIGITS_INPUT_SIZE], y[DIGITS_OUTPUT_SIZE];
    const char *fault;
    int i, best, code;

    if (argc < 2) {
        fprintf(stderr, "usage: %s picture.pgm ...\n", argv[0]);
        return 2;
    }
    if (digits_check() != 0) { /* once: the network itself does not look at the processor again */
        fprintf(stderr, "%s: this processor cannot run the network\n", argv[0]);
        return 3;
    }
    for (i = 1; i < argc; i++) {
        fault = read_picture(argv[i], x);
        if (fault != NULL) {
            fprintf(stderr, "%s: %s\n", argv[i], fault);
            return 1;
        }
        code = digits_infer(x, y, workspace());
        if (code != CNNCC_OK) { /* CNNCC_WRONG_FINGERPRINT: digits.h and digits.o are of different compilations */
            fprintf(stderr, "%s: the network returned error %d\n", argv[i], code);
            return 1;
        }
        best = largest(y);
        printf("%s: %s (%.1f %%)\n", argv[i], labels[best], 100.0 * (double)y[best]);
    }
    return 0;
}
