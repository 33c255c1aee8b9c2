/* One call of $title on the inputs of example-data.h, compared with what the interpreter makes of them. */
#include "$header"
#include "example-data.h"
#include "firmware-io.h"

/* Zero before the first call, and for the model alone while a call runs. */
static unsigned char workspace[$workspace] __attribute__((aligned($alignment)$workspace_section));
$outputs

int main(void)
{
    size_t wrong = 0;
    int code = ${symbol}_check();
    if (!code)
        code = ${symbol}_infer($arguments, workspace);
    if (code) {
        print("error ");
        print_whole(code);
        print("\n");
        return 1;
    }
$reports
    print_whole($total - (int64_t)wrong);
    print(" of $total values are what the interpreter finds, within their bounds\n");
    return wrong > 0;
}
