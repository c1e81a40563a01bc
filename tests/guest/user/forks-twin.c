/*
 * The twin of forks.s for the host: children and their parent add up what 64
 * procedures give, in opposite orders.
 */
#include <sys/wait.h>

#include "tests/guest/user/twin.h"

enum { CHILDREN = 8, PROCEDURES = 64 };

#define SUM (PROCEDURES * (PROCEDURES - 1) / 2 * 3)

static int64_t triple(int64_t sum, int n)
{
    return sum + 3 * n;
}

static int64_t (*volatile const procedure)(int64_t, int) = triple;

static int64_t run(int first, int step)
{
    int64_t sum = 0;

    for (int i = 0; i < PROCEDURES; i++) {
        sum = procedure(sum, first + i * step);
    }
    return sum;
}

int main(void)
{
    for (int i = 0; i < CHILDREN; i++) {
        if (fork() == 0) {
            _exit(run(PROCEDURES - 1, -1) != SUM);
        }
    }
    check_eq(run(0, 1), SUM, "the parent's sum");
    for (int i = 0; i < CHILDREN; i++) {
        int status = -1;

        waitpid(-1, &status, 0);
        check_eq(status, 0, "a child's");
    }
    return plan();
}
