/* $title learns on the device: a call of the network, steps of its training on the example of example-data.h, and one
 * more call. The first call and the first step are compared with what the interpreter finds. */
#include "$network_header"
#include "$step_header"
#include "example-data.h"
#include "firmware-io.h"

enum { STEPS = 30 };

/* Weights and what the optimiser keeps: steps update them, and the network reads them. */
static unsigned char states[$states] __attribute__((aligned($alignment)$states_section));
/* Zero before the first call. Network and step take turns in it. */
static unsigned char workspace[$workspace] __attribute__((aligned($alignment)$workspace_section));
$outputs

static int run_network(void)
{
    int code = ${network}_infer($network_arguments, states, workspace);
    if (code)
        return code;
$shown
    return 0;
}

static int run_step(void)
{
    return ${step}_infer($step_arguments, states, workspace);
}

static void print_loss(const char *when)
{
    print("loss ");
    print_float($loss[0]);
    print(when);
}

int main(void)
{
    size_t wrong = 0;
    int code = ${network}_check();
    /* Volatile, so that the compiler makes no call of memcpy of it: there is no C library. */
    for (size_t at = 0; at < sizeof states; at++)
        ((volatile unsigned char *)states)[at] = $initial[at];
    if (!code)
        code = run_network();
$network_compared
    for (int number = 1; !code && number <= STEPS; number++) {
        code = run_step();
        if (number == 1) {
$step_compared
            print_loss(" in the first step\n");
        }
    }
    print_loss(" in the last step\n");
    if (!code)
        code = run_network();
    if (code) {
        print("error ");
        print_whole(code);
        print("\n");
        return 1;
    }
    print_whole($total - (int64_t)wrong);
    print(" of $total values before learning and of the first step are what the interpreter finds, within their bounds\n");
    return wrong > 0;
}
