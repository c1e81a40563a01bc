/*
 * Preloaded: a name server that never answers.  Names that end in ".slow"
 * wait; numbers and all other names are looked up as ever.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

int getaddrinfo(const char *host, const char *port,
                const struct addrinfo *hints, struct addrinfo **list)
{
    __typeof__(&getaddrinfo) real =
        (__typeof__(&getaddrinfo))dlsym(RTLD_NEXT, "getaddrinfo");
    size_t n = host ? strlen(host) : 0;

    if (n > 5 && !strcmp(host + n - 5, ".slow") &&
        !(hints && (hints->ai_flags & AI_NUMERICHOST))) {
        for (;;) {
            pause();
        }
    }
    return real(host, port, hints, list);
}
