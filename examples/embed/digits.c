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

enum { SIDE = 8, SLACK = 63 };

static const char *const labels[DIGITS_LABEL_COUNT] = DIGITS_LABELS;

/* What the network works in: aligned to 64 bytes, and zero before the first call, as static memory is. */
static unsigned char memory[DIGITS_WORKSPACE_BYTES + SLACK];

static void *workspace(void)
{
    return memory + (64 - (uintptr_t)memory % 64) % 64;
}

/* The next whole number of a PGM header, after white space and comments; -1 if there is none. */
static int next_number(FILE *file)
{
    int number = 0, digits = 0, c = getc(file);
    while (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '#') {
        if (c == '#')
            while (c != '\n' && c != EOF)
                c = getc(file);
        c = getc(file);
    }
    for (; c >= '0' && c <= '9' && digits < 6; digits++, c = getc(file))
        number = 10 * number + (c - '0');
    return digits > 0 ? number : -1; /* one white space follows a number, and has just been read */
}

/* Null, or what is wrong with the picture. */
static const char *read_pixels(FILE *file, float *x)
{
    unsigned char grey[DIGITS_INPUT_SIZE];
    int width, height, white, i;
    if (getc(file) != 'P' || getc(file) != '5')
        return "not a binary PGM file";
    width = next_number(file);
    height = next_number(file);
    white = next_number(file);
    if (width != SIDE || height != SIDE)
        return "not a picture of 8 by 8 pixels";
    if (white < 1 || white > 255)
        return "not a picture of one byte a pixel";
    if (fread(grey, 1, sizeof grey, file) != sizeof grey)
        return "the file is cut short";
    for (i = 0; i < DIGITS_INPUT_SIZE; i++)
        x[i] = (float)grey[i] / (float)white;
    return NULL;
}

static const char *read_picture(const char *path, float *x)
{
    const char *fault;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return "cannot be opened";
    fault = read_pixels(file, x);
    fclose(file);
    return fault;
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
