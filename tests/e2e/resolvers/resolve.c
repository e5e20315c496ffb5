/* A program that resolves by its C library: `resolve wait`, `resolve NAME...` (a line of sorted addresses a name, or what went
   wrong), `resolve time COUNT NAME` (the milliseconds of each of COUNT lookups, a line each). Built with musl, static. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static struct addrinfo *look_up(const char *name, int *error) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
    *error = getaddrinfo(name, "80", &hints, &found);
    return *error ? NULL : found;
}

int main(int count, char **words) {
    if (count > 1 && !strcmp(words[1], "wait"))
        for (;;) pause();
    if (count == 4 && !strcmp(words[1], "time")) {
        for (int i = atoi(words[2]); i > 0; i--) {
            struct timespec from, to;
            int error;
            clock_gettime(CLOCK_MONOTONIC, &from);
            struct addrinfo *found = look_up(words[3], &error);
            clock_gettime(CLOCK_MONOTONIC, &to);
            if (error) return 1;
            freeaddrinfo(found);
            printf("%.3f\n", (to.tv_sec - from.tv_sec) * 1e3 + (to.tv_nsec - from.tv_nsec) / 1e6);
        }
        return 0;
    }
    for (int i = 1; i < count; i++) {
        char *texts[64], text[INET6_ADDRSTRLEN];
        int n = 0, error;
        struct addrinfo *found = look_up(words[i], &error);
        for (struct addrinfo *at = found; at && n < 64; at = at->ai_next) {
            const void *address = at->ai_family == AF_INET ? (void *)&((struct sockaddr_in *)at->ai_addr)->sin_addr
                                                           : (void *)&((struct sockaddr_in6 *)at->ai_addr)->sin6_addr;
            texts[n++] = strdup(inet_ntop(at->ai_family, address, text, sizeof text));
        }
        qsort(texts, n, sizeof *texts, compare);
        printf("%s", error ? "none" : "");
        for (int k = 0; k < n; k++) printf("%s%s", k ? " " : "", texts[k]);
        printf("\n");
        if (found) freeaddrinfo(found);
    }
    return 0;
}
