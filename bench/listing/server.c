/* A fast server of one bucket's listing, for benchmarks: ListObjectsV2 without delimiters.
 *
 * server PORT RUNS FILES LATENCY_MS [CERTIFICATE KEY]
 *
 * Lists RUNS * FILES keys under service/input/cus_bench/; runs have random UUIDs, always the same.
 * Every entry is written once; a page is one writev of a head and a slice of them. A thread per connection. GET /count
 * says how many pages were asked for since the last time. Signatures are not checked.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#ifdef WITH_TLS
#include <openssl/ssl.h>
static SSL_CTX *tls;
#endif

static const char *PREFIX = "service/input/cus_bench/";
static char *entries;
static size_t *offsets;
static long keys, latency_ms;
static atomic_long pages;

typedef struct {
    int socket;
#ifdef WITH_TLS
    SSL *tls;
#endif
} Connection;

typedef struct { uint64_t high, low; } Id;

static uint64_t chance(void) {
    static uint64_t state = 88172645463325252UL;
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
}

static int in_order(const void *first, const void *second) {
    const Id *one = first, *other = second;
    return one->high < other->high ? -1 : one->high > other->high;
}

static Id *ids(long count) {
    Id *made = malloc(sizeof *made * (size_t)count);
    for (long number = 0; number < count; number++) made[number] = (Id){chance(), chance()};
    qsort(made, (size_t)count, sizeof *made, in_order);
    return made;
}

static void key_of(const Id *run, long file, char *key) {
    sprintf(key, "%s%08x-%04x-4%03x-%04x-%012lx/part-%05ld.json", PREFIX,
            (unsigned)(run->high >> 32), (unsigned)(run->high >> 16) & 0xffff,
            (unsigned)run->high & 0xfff, (unsigned)(run->low >> 48 & 0x3fff) | 0x8000,
            (unsigned long)(run->low & 0xffffffffffff), file);
}

static void write_entries(long runs, long files) {
    char key[200], *end;
    Id *run = ids(runs);
    keys = runs * files;
    offsets = malloc(sizeof *offsets * (size_t)(keys + 1));
    entries = end = malloc(420 * (size_t)keys + 1);
    for (long number = 0; number < keys; number++) {
        offsets[number] = (size_t)(end - entries);
        key_of(&run[number / files], number % files, key);
        end += sprintf(end,
            "<Contents><Key>%s</Key><LastModified>2026-10-%02ldT10:%02ld:30.000Z</LastModified>"
            "<ETag>&quot;%016lx%016lx&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>"
            "<ChecksumType>FULL_OBJECT</ChecksumType><Size>%ld</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>",
            key, number % 28 + 1, number % 60, number * 2654435761L, number * 40503L,
            number * 7919 % 100000000);
    }
    offsets[keys] = (size_t)(end - entries);
    free(run);
}

/* The first key behind `after`, by the key's place in its entry. */
static long behind(const char *after) {
    size_t length = strlen(after);
    long low = 0, high = keys;
    while (low < high) {
        long middle = (low + high) / 2;
        const char *key = entries + offsets[middle] + 15;
        size_t own = (size_t)(strchr(key, '<') - key);
        int order = memcmp(key, after, own < length ? own : length);
        if (order < 0 || (order == 0 && own <= length)) low = middle + 1; else high = middle;
    }
    return low;
}

static int parameter(const char *query, const char *name, char *value, size_t room) {
    size_t length = strlen(name);
    for (const char *at = query; at; at = strchr(at, '&') ? strchr(at, '&') + 1 : NULL) {
        if (strncmp(at, name, length) || at[length] != '=') continue;
        char *out = value;
        for (at += length + 1; *at && *at != '&' && *at != ' ' && out < value + room - 1; at++) {
            char hex[3] = {0};
            if (*at == '%') { memcpy(hex, at + 1, 2); *out++ = (char)strtol(hex, 0, 16); at += 2; }
            else *out++ = *at == '+' ? ' ' : *at;
        }
        *out = 0;
        return out > value;
    }
    return 0;
}

static int put(Connection *to, struct iovec *parts, int count) {
    for (int at = 0; at < count; at++)
        for (size_t done = 0; done < parts[at].iov_len;) {
            const char *from = (char *)parts[at].iov_base + done;
            size_t left = parts[at].iov_len - done;
            ssize_t put;
#ifdef WITH_TLS
            put = to->tls ? SSL_write(to->tls, from, (int)left) : write(to->socket, from, left);
#else
            put = write(to->socket, from, left);
#endif
            if (put <= 0) return 0;
            done += (size_t)put;
        }
    return 1;
}

static int answer(Connection *to, char *request) {
    char prefix[2048] = "", from[2048] = "", head[4096], body[4096];
    char *query = strchr(request, '?');
    long start, stop, size = 1000;
    struct iovec parts[4];
    if (!strncmp(request, "GET /count ", 11)) {
        int length = sprintf(body, "%ld", atomic_exchange(&pages, 0));
        parts[0].iov_base = head;
        parts[0].iov_len = (size_t)sprintf(
            head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", length, body);
        return put(to, parts, 1);
    }
    if (query) {
        parameter(query + 1, "prefix", prefix, sizeof prefix);
        if (!parameter(query + 1, "continuation-token", from, sizeof from))
            parameter(query + 1, "start-after", from, sizeof from);
    }
    atomic_fetch_add(&pages, 1);
    if (latency_ms) usleep((useconds_t)latency_ms * 1000);
    start = strncmp(prefix, PREFIX, strlen(PREFIX)) ? keys : *from ? behind(from) : 0;
    stop = start + size < keys ? start + size : keys;
    const char *last = stop > start ? entries + offsets[stop - 1] + 15 : "";
    char token[400] = "";
    if (stop < keys)
        sprintf(token, "<NextContinuationToken>%.*s</NextContinuationToken>",
                (int)(strchr(last, '<') - last), last);
    int length = sprintf(body,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>bench</Name>"
        "<Prefix>%s</Prefix>%s<KeyCount>%ld</KeyCount><MaxKeys>1000</MaxKeys>"
        "<EncodingType>url</EncodingType><IsTruncated>%s</IsTruncated>",
        prefix, token, stop - start, stop < keys ? "true" : "false");
    static const char END[] = "</ListBucketResult>";
    size_t slice = offsets[stop] - offsets[start];
    int headers = sprintf(head,
        "HTTP/1.1 200 OK\r\nx-amz-id-2: Vvag1LuByRx9e6j5Onimru9pO4ZVKnJ2Qz7\r\n"
        "x-amz-request-id: 656c76696e6727\r\nDate: Sun, 01 Nov 2026 00:00:00 GMT\r\n"
        "Server: AmazonS3\r\nContent-Type: application/xml\r\nContent-Length: %zu\r\n\r\n",
        (size_t)length + slice + sizeof END - 1);
    parts[0] = (struct iovec){head, (size_t)headers};
    parts[1] = (struct iovec){body, (size_t)length};
    parts[2] = (struct iovec){entries + offsets[start], slice};
    parts[3] = (struct iovec){(void *)END, sizeof END - 1};
    return put(to, parts, 4);
}

static void *serve(void *given) {
    Connection *from = given;
    char request[16384];
    size_t got = 0;
#ifdef WITH_TLS
    if (from->tls && SSL_accept(from->tls) <= 0) goto end;
#endif
    for (;;) {
        ssize_t more;
#ifdef WITH_TLS
        more = from->tls ? SSL_read(from->tls, request + got, (int)(sizeof request - got - 1))
                         : read(from->socket, request + got, sizeof request - got - 1);
#else
        more = read(from->socket, request + got, sizeof request - got - 1);
#endif
        if (more <= 0) break;
        got += (size_t)more;
        request[got] = 0;
        if (!strstr(request, "\r\n\r\n")) continue;
        *strchr(request, '\r') = 0;
        got = 0;
        if (!answer(from, request)) break;
    }
#ifdef WITH_TLS
end:
    if (from->tls) SSL_free(from->tls);
#endif
    close(from->socket);
    free(from);
    return NULL;
}

int main(int count, char **given) {
    if (count < 5) return 2;
    int one = 1, listening = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(given[1])),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    signal(SIGPIPE, SIG_IGN);
    latency_ms = atol(given[4]);
    write_entries(atol(given[2]), atol(given[3]));
#ifdef WITH_TLS
    if (count > 6) {
        tls = SSL_CTX_new(TLS_server_method());
        if (SSL_CTX_use_certificate_file(tls, given[5], SSL_FILETYPE_PEM) != 1 ||
            SSL_CTX_use_PrivateKey_file(tls, given[6], SSL_FILETYPE_PEM) != 1) return 3;
    }
#endif
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listening, (struct sockaddr *)&at, sizeof at) || listen(listening, 512)) return 1;
    puts("ready");
    fflush(stdout);
    for (;;) {
        Connection *from = calloc(1, sizeof *from);
        pthread_t thread;
        from->socket = accept(listening, NULL, NULL);
        setsockopt(from->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
#ifdef WITH_TLS
        if (tls) { from->tls = SSL_new(tls); SSL_set_fd(from->tls, from->socket); }
#endif
        pthread_create(&thread, NULL, serve, from);
        pthread_detach(thread);
    }
}
