// A stand-in for a service: answers every request on port 8080, and behaves as the variable BEHAVIOUR says.
//
//   (nothing)        200, always
//   exit             ends with code 1 at once
//   unready          503, always
//   ready-after=N    503 for N seconds, then 200
//   flap=N:M         200 for N seconds, 503 for M seconds, and so on
//   fail-after=N     200 for N seconds, then 503
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const char *behaviour;
static time_t started;

static void stop(int signal_number) {
    (void)signal_number;
    _exit(0);
}

// The number after NAME=, or -1 where the behaviour is another one.
static long seconds(const char *name) {
    size_t length = strlen(name);
    if (strncmp(behaviour, name, length) != 0 || behaviour[length] != '=') return -1;
    return atol(behaviour + length + 1);
}

static time_t now(void) {
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return moment.tv_sec;
}

static int is_healthy(void) {
    long age = (long)(now() - started), n;
    if (strcmp(behaviour, "unready") == 0) return 0;
    if ((n = seconds("ready-after")) >= 0) return age >= n;
    if ((n = seconds("fail-after")) >= 0) return age < n;
    if ((n = seconds("flap")) > 0) {
        const char *colon = strchr(behaviour, ':');
        return age % (n + (colon ? atol(colon + 1) : n)) < n;
    }
    return 1;
}

static void answer(int client) {
    char request[4096];
    size_t length = 0;
    struct timeval patience = {.tv_sec = 1};
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    while (length < sizeof request - 1) {
        ssize_t got = read(client, request + length, sizeof request - 1 - length);
        if (got <= 0) return;
        length += (size_t)got;
        request[length] = 0;
        if (strstr(request, "\r\n\r\n")) break;
    }
    const char *text = is_healthy() ? "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"
                                    : "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbad\n";
    if (write(client, text, strlen(text)) < 0) perror("write");
    shutdown(client, SHUT_WR);
}

int main(void) {
    behaviour = getenv("BEHAVIOUR");
    if (!behaviour) behaviour = "";
    if (strcmp(behaviour, "exit") == 0) return 1;
    started = now();
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(8080), .sin_addr.s_addr = INADDR_ANY};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 64)) {
        perror("port 8080");
        return 1;
    }
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client < 0) continue;
        answer(client);
        close(client);
    }
}
