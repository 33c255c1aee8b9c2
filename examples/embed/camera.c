/* Classifies frames of a camera as they come: bytes, height by width, as the header says.
 *
 *     cnncc compile examples/digits.py --image input=320x240,GRAY,HW,resize=stretch -o build/camera
 *     camera FILE…        each FILE holds one frame
 *
 * Resizing and scaling are part of digits_run, which reads the frame where it lies: nothing is copied or converted
 * before. A driver hands over its own buffer in place of `frame`. C99 without libraries.
 */
#include <stdint.h>
#include <stdio.h>

#include "digits.h"

enum { PIXELS = DIGITS_INPUT_HEIGHT * DIGITS_INPUT_WIDTH, SLACK = 63 };

static uint8_t frame[PIXELS];
static float probabilities[DIGITS_OUTPUT_SIZE];
static unsigned char memory[DIGITS_WORKSPACE_BYTES + SLACK]; /* zero before the first call, as static memory is */

static int classify(const uint8_t *pixels)
{
    const void *inputs[1];
    void *outputs[1];
    cnncc_call call = {0};
    int best = 0;
    inputs[0] = pixels;
    outputs[0] = probabilities;
    call.abi = CNNCC_ABI;
    call.fingerprint = DIGITS_FINGERPRINT;
    call.images = DIGITS_IMAGES;
    call.shards = 1;
    call.inputs = inputs;
    call.outputs = outputs;
    call.workspace = memory + (64 - (uintptr_t)memory % 64) % 64;
    call.weights = digits_weights;
    if (digits_run(&call) != CNNCC_OK)
        return -1;
    for (int i = 1; i < DIGITS_OUTPUT_SIZE; i++)
        if (probabilities[i] > probabilities[best])
            best = i;
    return best;
}

int main(int count, char **files)
{
    static const char *const labels[] = DIGITS_LABELS;
    if (digits_check() != 0)
        return 1;
    for (int i = 1; i < count; i++) {
        FILE *file = fopen(files[i], "rb");
        int whole = file && fread(frame, 1, PIXELS, file) == PIXELS;
        int found = whole ? classify(frame) : -1;
        if (file)
            fclose(file);
        if (found < 0) {
            fprintf(stderr, "%s: no frame of %d by %d bytes\n", files[i], DIGITS_INPUT_HEIGHT, DIGITS_INPUT_WIDTH);
            return 1;
        }
        printf("%s: %s\n", files[i], labels[found]);
    }
    return 0;
}
