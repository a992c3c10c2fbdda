/* The limit: a client that does nothing but ask, find the sizes and add them up. limit PORT */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int count, char **given) {
    static char answer[8 << 20], token[1024];
    unsigned long long bytes = 0, objects = 0;
    if (count < 2) return 2;
    int server = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(given[1])),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(server, (struct sockaddr *)&at, sizeof at)) return 1;
    do {
        char request[4096], *body = NULL, *found;
        size_t got = 0, whole = 0;
        int length = sprintf(request,
            "GET /bench?list-type=2&prefix=service/input/cus_bench/%s%s HTTP/1.1\r\nHost: s3\r\n\r\n",
            *token ? "&continuation-token=" : "", token);
        if (write(server, request, (size_t)length) != length) return 1;
        while (!body || got < whole) {
            ssize_t more = read(server, answer + got, sizeof answer - got - 1);
            if (more <= 0) return 1;
            got += (size_t)more;
            answer[got] = 0;
            if (!body && (body = strstr(answer, "\r\n\r\n"))) {
                body += 4;
                whole = (size_t)(body - answer) + strtoul(strstr(answer, "Content-Length: ") + 16, 0, 10);
            }
        }
        for (found = body; (found = memmem(found, got - (size_t)(found - answer), "<Size>", 6));) {
            bytes += strtoull(found + 6, &found, 10);
            objects++;
        }
        found = memmem(body, got - (size_t)(body - answer), "<NextContinuationToken>", 23);
        *token = 0;
        if (found) sprintf(token, "%.*s", (int)(strchr(found + 23, '<') - found - 23), found + 23);
    } while (*token);
    printf("0 %llu %llu\n", objects, bytes);
}
