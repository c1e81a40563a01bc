/*
 * What the twins of guest programs share: raw system calls, and checks that
 * print the words of lib.inc's.
 */
#ifndef TESTS_GUEST_USER_TWIN_H
#define TESTS_GUEST_USER_TWIN_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

static int tests, failed;

static inline void check_eq(int64_t value, int64_t wanted, const char *text)
{
    tests++;
    printf("%sok %d - %s\n", value == wanted ? "" : "not ", tests, text);
    if (value != wanted) {
        failed++;
        printf("# got %016llx, wanted %016llx\n", (unsigned long long)value,
               (unsigned long long)wanted);
    }
}

static inline void check(int condition, const char *text)
{
    tests++;
    printf("%sok %d - %s\n", condition ? "" : "not ", tests, text);
    failed += !condition;
}

#define CALL(...) result(syscall(__VA_ARGS__))

static inline int64_t result(long value)
{
    return value < 0 ? -errno : value;
}

/* A call and what it must answer; one whose positive result is wanted. */
#define ANSWERS(wanted, text, ...) check_eq(CALL(__VA_ARGS__), wanted, text)
#define GIVES(to, text, ...) ((to) = CALL(__VA_ARGS__), check((to) >= 0, text))

/* The plan; the program's exit status. */
static inline int plan(void)
{
    printf("1..%d\n", tests);
    return failed != 0;
}

#endif
