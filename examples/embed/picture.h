/* Reads pictures: binary PGM files ("P5") of 8 by 8 grey values. */
#ifndef PICTURE_H
#define PICTURE_H

#include <stdio.h>

enum { SIDE = 8 };

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
    unsigned char grey[SIDE * SIDE];
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
    for (i = 0; i < SIDE * SIDE; i++)
        x[i] = (float)grey[i] / (float)white;
    return NULL;
}

/* The picture in a file as floats from 0 to 1, row by row; returns null, or what is wrong with it. */
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

#endif
