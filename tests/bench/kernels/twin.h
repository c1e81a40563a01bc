/* Start-up of the C twins: prints a result as the kernels do. */
#include <stdint.h>
#include <stdio.h>

static uint64_t kernel(void);

int main(void)
{
    printf("%016llx\n", (unsigned long long)kernel());
    return 0;
}
