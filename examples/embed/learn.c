/* Learns from labelled pictures, and tells what is in others: a program in C99 around a network and a step of its
 * training, which share one block of states.
 *
 *     cnncc compile examples/digits.py --step --train 'dense*' -o build
 *     cc -std=c99 -O2 -Ibuild examples/embed/learn.c build/libdigits.a build/libdigits_step.a -o build/learn
 *     build/learn ROUNDS RATE 7=seven.pgm 4=four.pgm ... picture.pgm ...
 *
 * Each labelled picture is learned from once a round. A picture without a label is classified, after all rounds.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digits.h"
#include "digits_step.h"
#include "picture.h"

enum { SLACK = DIGITS_ALIGNMENT - 1, MOST = 128 };

#define ALIGNED(memory) \
    ((void *)((memory) + (DIGITS_ALIGNMENT - (uintptr_t)(memory) % DIGITS_ALIGNMENT) % DIGITS_ALIGNMENT))

static const char *const labels[DIGITS_LABEL_COUNT] = DIGITS_LABELS;

/* Weights and moments, which the step updates and the network reads; and what each of the two works in. */
static unsigned char states[DIGITS_STATE_BYTES + SLACK];
static unsigned char network[DIGITS_WORKSPACE_BYTES + SLACK];
static unsigned char step[DIGITS_STEP_WORKSPACE_BYTES + SLACK];

static float pictures[MOST][DIGITS_INPUT_SIZE];
static int32_t wanted[MOST];

/* The number of a label of `length` characters; -1 if there is none. */
static int32_t label(const char *text, size_t length)
{
    int32_t i;
    for (i = 0; i < DIGITS_LABEL_COUNT; i++)
        if (strlen(labels[i]) == length && strncmp(labels[i], text, length) == 0)
            return i;
    return -1;
}

/* Null, or what is wrong with LABEL=FILE. */
static const char *read_example(const char *text, int number)
{
    const char *equals = strchr(text, '=');
    if (number == MOST)
        return "too many pictures to learn from";
    wanted[number] = label(text, (size_t)(equals - text));
    return wanted[number] < 0 ? "no label of the network" : read_picture(equals + 1, pictures[number]);
}

/* One round through the pictures; returns their mean loss, or -1 if a step failed. */
static float learn(int count, float rate)
{
    float loss, correct, total = 0;
    int i;
    for (i = 0; i < count; i++) {
        if (digits_step_infer(pictures[i], &wanted[i], &rate, &loss, &correct, ALIGNED(states), ALIGNED(step)))
            return -1;
        total += loss;
    }
    return total / (float)count;
}

/* The class of a picture, which is printed; returns null, or what is wrong. */
static const char *classify(const char *path)
{
    float x[DIGITS_INPUT_SIZE], y[DIGITS_OUTPUT_SIZE];
    const char *fault = read_picture(path, x);
    int i, best = 0;
    if (fault == NULL && digits_infer(x, y, ALIGNED(states), ALIGNED(network)) != CNNCC_OK)
        fault = "the network failed";
    if (fault != NULL)
        return fault;
    for (i = 1; i < DIGITS_OUTPUT_SIZE; i++)
        if (y[i] > y[best])
            best = i;
    printf("%s: %s (%.1f %%)\n", path, labels[best], 100.0 * (double)y[best]);
    return NULL;
}

static int failed(const char *what, const char *fault)
{
    fprintf(stderr, "%s: %s\n", what, fault);
    return 1;
}

int main(int argc, char **argv)
{
    const char *fault;
    float rate, loss = 0;
    int i, rounds, count = 0;

    if (argc < 4) {
        fprintf(stderr, "usage: %s ROUNDS RATE [LABEL=]picture.pgm ...\n", argv[0]);
        return 2;
    }
    rounds = atoi(argv[1]);
    rate = (float)atof(argv[2]);
    if (digits_check() != 0)
        return failed(argv[0], "this processor cannot run the network");
    if (DIGITS_STATE_BYTES != DIGITS_STEP_STATE_BYTES)
        return failed(argv[0], "network and step are not of the same compilation");
    memcpy(ALIGNED(states), digits_initial_state, DIGITS_STATE_BYTES); /* from flash, say */
    for (i = 3; i < argc; i++)
        if (strchr(argv[i], '=') != NULL && (fault = read_example(argv[i], count++)) != NULL)
            return failed(argv[i], fault);
    for (i = 0; i < rounds && count > 0; i++)
        if ((loss = learn(count, rate)) < 0)
            return failed(argv[0], "a step failed");
    if (rounds > 0 && count > 0)
        printf("learned from %d pictures, loss %.3f\n", count, (double)loss);
    for (i = 3; i < argc; i++)
        if (strchr(argv[i], '=') == NULL && (fault = classify(argv[i])) != NULL)
            return failed(argv[i], fault);
    return 0;
}
