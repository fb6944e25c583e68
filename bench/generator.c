/*
 * The load generator: WebSocket clients on 127.0.0.1, in one thread, around one epoll.
 *
 * It connects `rooms` x `members` clients, warms the server up, measures, waits for the messages in flight, and ends
 * with a ping from every client: an unexpected message before the pong is an error. It prints its events as lines of
 * JSON on stdout: connected, begin, end, and then result, or failed (exit code 1).
 *
 * A message is {"n":1000000001,"s":10000,"k":"r","t":...}: n counts up by one, s is who sent it, k is its kind, each at
 * a fixed place. On every text frame the number must be the next one for that client.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

typedef uint8_t u8;
typedef uint64_t u64;

/* ---- settings --------------------------------------------------------------------------------------------------- */

static struct {
  int port, rooms, members, flight, random, bytes, burst, json;
  int drivers;   /* mixed: number of members of each room that send; 0: not mixed */
  int rate;      /* messages a second at fixed times; 0: the next one when the last one has arrived */
  int stall;     /* member 1 of room 0 does not read */
  int idle;      /* connect, wait for a line on stdin, end */
  int deflate, socketio, v1, connecting; /* v1: the subprotocol enfilade.v1 */
  int warmMs, measureMs, quietMs, maxMs;
  const char *path, *prefix, *suffix;
} want = { .rooms = 1, .members = 1, .flight = 1, .bytes = 64, .burst = 1, .connecting = 128, .warmMs = 500,
           .measureMs = 1000, .quietMs = 10000, .maxMs = 60000, .path = "/r/", .prefix = "", .suffix = "" };

static const struct { const char *name; int *number; const char **text; } settings[] = {
  { "port", &want.port, 0 },         { "rooms", &want.rooms, 0 },         { "members", &want.members, 0 },
  { "flight", &want.flight, 0 },     { "random", &want.random, 0 },       { "bytes", &want.bytes, 0 },
  { "burst", &want.burst, 0 },       { "json", &want.json, 0 },           { "drivers", &want.drivers, 0 },
  { "rate", &want.rate, 0 },         { "stall", &want.stall, 0 },         { "idle", &want.idle, 0 },
  { "deflate", &want.deflate, 0 },   { "socketio", &want.socketio, 0 },   { "v1", &want.v1, 0 },
  { "connecting", &want.connecting, 0 }, { "warmMs", &want.warmMs, 0 },   { "measureMs", &want.measureMs, 0 },
  { "quietMs", &want.quietMs, 0 },   { "maxMs", &want.maxMs, 0 },         { "path", 0, &want.path },
  { "prefix", 0, &want.prefix },     { "suffix", 0, &want.suffix },
};

/* ---- state ------------------------------------------------------------------------------------------------------ */

enum { LOOK = 125, HEAD = 10 + LOOK, LOG = 1024 };
enum { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10 };
static const u64 FIRST = 1000000000; /* all numbers have ten digits */
static const int SENDER = 10000;

/** The part of a frame that the generator reads. */
typedef struct { int opcode, rsv1; u64 length; int look; const u8 *payload; } Frame;

typedef struct {
  int fd, room, member;
  enum { CONNECTING, SHAKING, SIO_OPEN, SIO_JOIN, V1_WELCOME, OPEN, GONE } state;
  u8 head[HEAD];         /* of a frame that has come in part: its header and the beginning of its payload */
  int have;
  u64 skip;              /* bytes of the payload that are yet to come and not looked at */
  int opcode, rsv1, frameLook; /* of the frame that ends with them; its beginning stays in head */
  u64 frameLength;
  char *answer;          /* the HTTP response so far */
  int answerHas;
  u64 next, unitEnd;     /* the number expected next, and where its unit ends */
  u64 *laneNext;         /* mixed: the number expected next of each driver */
  u64 position;          /* mixed: how many messages of the room have come */
  int step;              /* mixed: 0, 1: its room message is next, 2: its second private reply is next */
  u8 *out;
  size_t outHas, outSize;
  int dirty, waitsForOut, stalled, ponged;
} Client;

/** Messages of one sender that are on their way. A unit is what one message of the client causes: `burst` numbers. */
typedef struct { u64 sent, done; int *left; u64 *at; } Lane;

static Client *clients, *stalledClient;
static Lane *lanes;
static struct { int sender; u64 number; } *logs; /* mixed: the order of the messages of each room, LOG of each */
static u64 *logLength;
static int clientCount, laneCount, ring, epollFd, timerFd = -1;
static int opened, started, inFlight;
static enum { CONNECT, WARM, MEASURE, DRAIN, BARRIER, CATCH_UP, WAIT, DONE } phase;
static u64 deliveries, messages, wireBytes, compressed, now, startedAt, phaseEnds, lastArrival, rateStart, rateSent;
static u64 outstanding;   /* deliveries that are to come */
static int ponged;
static const char *stalledOutcome = "none";
static int stalledCode;
static Client **dirty;
static int dirtyCount;

static u64 clockNs(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}

static double cpuSeconds(void) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  return use.ru_utime.tv_sec + use.ru_stime.tv_sec + (use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static u64 randomNumber(void) {
  static u64 x = 88172645463325252u;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return x;
}

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...) {
  char why[512];
  va_list list;
  va_start(list, format);
  vsnprintf(why, sizeof why, format, list);
  va_end(list);
  printf("{\"event\":\"failed\",\"why\":\"");
  for (const char *c = why; *c; c++) {
    if (*c == '"' || *c == '\\') putchar('\\');
    putchar(*c < 32 ? ' ' : *c);
  }
  printf("\"}\n");
  fflush(stdout);
  exit(1);
}

#define FAIL(c, format, ...) fail("client %d of room %d: " format, (c)->member, (c)->room, ##__VA_ARGS__)

static void *zeroed(size_t count, size_t size) {
  void *memory = calloc(count ? count : 1, size);
  if (!memory) fail("no memory");
  return memory;
}

/* ---- latencies: a histogram of which each bucket is 0.8 % wide --------------------------------------------------- */

enum { SUB = 128 };
static u64 histogram[58 * SUB], sampled;

static void sample(u64 ns) {
  u64 v = ns / 100;
  int shift = v < SUB ? 0 : 63 - __builtin_clzll(v) - 7;
  histogram[shift ? shift * SUB + (int)(v >> shift) : (int)v]++;
  sampled++;
}

static double percentileUs(double share) {
  u64 seen = 0, rank = (u64)(share * (double)sampled);
  for (int i = 0; i < 58 * SUB; i++) {
    seen += histogram[i];
    if (seen > rank) {
      int shift = i < 2 * SUB ? 0 : i / SUB - 1;
      u64 v = shift ? (u64)(i - shift * SUB) << shift : (u64)i;
      return (double)v / 10.0;
    }
  }
  return 0;
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

static void watch(Client *c, int operation, uint32_t events) {
  struct epoll_event event = { .events = events, .data.ptr = c };
  if (epoll_ctl(epollFd, operation, c->fd, &event)) FAIL(c, "epoll_ctl: %s", strerror(errno));
}

static void flush(Client *c) {
  size_t gone = 0;
  while (gone < c->outHas) {
    ssize_t n = send(c->fd, c->out + gone, c->outHas - gone, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (n < 0) FAIL(c, "send: %s", strerror(errno));
    gone += (size_t)n;
  }
  memmove(c->out, c->out + gone, c->outHas - gone);
  c->outHas -= gone;
  int waits = c->outHas > 0;
  if (waits != c->waitsForOut) {
    c->waitsForOut = waits;
    watch(c, EPOLL_CTL_MOD, waits ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }
}

/** All messages of a client go out in one write, after all received bytes were read. */
static u8 *reserve(Client *c, size_t size) {
  if (c->outHas + size > c->outSize) {
    c->outSize = (c->outHas + size) * 2;
    c->out = realloc(c->out, c->outSize);
    if (!c->out) fail("no memory");
  }
  if (!c->dirty) {
    c->dirty = 1;
    dirty[dirtyCount++] = c;
  }
  u8 *place = c->out + c->outHas;
  c->outHas += size;
  return place;
}

static void flushAll(void) {
  for (int i = 0; i < dirtyCount; i++) {
    dirty[i]->dirty = 0;
    flush(dirty[i]);
  }
  dirtyCount = 0;
}

/** A masked frame, as a client has to send it (RFC 6455 5.3). */
static void sendFrame(Client *c, int opcode, const void *payload, size_t size) {
  size_t header = size < 126 ? 2 : size < 65536 ? 4 : 10;
  u8 *p = reserve(c, header + 4 + size);
  p[0] = (u8)(0x80 | opcode);
  if (header == 2) {
    p[1] = (u8)(0x80 | size);
  } else {
    int bytes = header == 4 ? 2 : 8;
    p[1] = (u8)(0x80 | (bytes == 2 ? 126 : 127));
    for (int i = 0; i < bytes; i++) p[2 + i] = (u8)(size >> 8 * (bytes - 1 - i));
  }
  uint32_t key = (uint32_t)randomNumber() | 1;
  u8 *mask = p + header, *to = mask + 4;
  memcpy(mask, &key, 4);
  for (size_t i = 0; i < size; i++) to[i] = ((const u8 *)payload)[i] ^ mask[i & 3];
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

enum { BODIES = 8 };
static char *bodies[BODIES]; /* prefix, message, suffix */
static size_t bodySize, prefixSize;

/** `size` bytes of JSON: a list of records that resemble each other as those of an application do. */
static void writeRecords(char *to, size_t size) {
  static const char *names[] = { "Ann Arbor", "Bern", "Cusco", "Dakar", "Espoo", "Fargo", "Ghent", "Hobart" };
  static const char *states[] = { "open", "waiting", "in progress", "done" };
  char record[256];
  size_t has = 0;
  to[has++] = '[';
  for (;;) {
    int n = snprintf(record, sizeof record,
                     "{\"id\":%d,\"place\":\"%s\",\"state\":\"%s\",\"price\":%d,\"token\":\"%08x\",\"done\":%s},",
                     (int)(randomNumber() % 900000) + 100000, names[randomNumber() % 8], states[randomNumber() % 4],
                     (int)(randomNumber() % 10000), (unsigned)randomNumber(), randomNumber() % 2 ? "true" : "false");
    if (has + (size_t)n + 4 > size) break;
    memcpy(to + has, record, (size_t)n);
    has += (size_t)n;
  }
  to[has++] = '"';
  memset(to + has, '.', size - 2 - has);
  to[size - 2] = '"';
  to[size - 1] = ']';
}

static void makeBodies(void) {
  const char *fixed = "{\"n\":1000000000,\"s\":10000,\"k\":\"r\",\"t\":";
  size_t fixedSize = strlen(fixed), size = (size_t)want.bytes;
  if (size < fixedSize + 8) fail("bytes=%d is too small for a message; take %zu", want.bytes, fixedSize + 8);
  prefixSize = strlen(want.prefix);
  bodySize = prefixSize + size + strlen(want.suffix);
  for (int i = 0; i < BODIES; i++) {
    char *p = bodies[i] = zeroed(bodySize + 1, 1);
    memcpy(p, want.prefix, prefixSize);
    p += prefixSize;
    memcpy(p, fixed, fixedSize);
    char *text = p + fixedSize;
    size_t textSize = size - fixedSize - 1;
    if (want.json) {
      writeRecords(text, textSize);
    } else {
      for (size_t j = 1; j + 1 < textSize; j++) text[j] = (char)('a' + randomNumber() % 26);
      text[0] = text[textSize - 1] = '"';
    }
    p[size - 1] = '}';
    memcpy(p + size, want.suffix, strlen(want.suffix));
  }
}

static void writeDigits(char *to, u64 number, int digits) {
  while (digits--) {
    to[digits] = (char)('0' + number % 10);
    number /= 10;
  }
}

static u64 readDigits(const u8 *from, int digits) {
  u64 number = 0;
  for (int i = 0; i < digits; i++) number = number * 10 + (u64)(from[i] - '0');
  return number;
}

static int laneOf(Client *c) { return want.drivers ? c->room * want.drivers + c->member : c->room; }

static void sendNext(Client *c, u64 at) {
  Lane *lane = &lanes[laneOf(c)];
  if (lane->sent - lane->done >= (u64)ring) fail("the server is %d messages behind", ring);
  int slot = (int)(lane->sent & (u64)(ring - 1));
  lane->left[slot] = want.members - (want.stall && c->room == 0) + (want.drivers ? 2 : 0);
  lane->at[slot] = at;
  outstanding += (u64)lane->left[slot] * (u64)want.burst;
  char *body = bodies[randomNumber() % BODIES];
  writeDigits(body + prefixSize + 5, FIRST + lane->sent * (u64)want.burst, 10);
  writeDigits(body + prefixSize + 20, (u64)(SENDER + c->member), 5);
  sendFrame(c, TEXT, body, bodySize);
  lane->sent++;
  inFlight++;
}

/** Returns a room without messages in flight; there are more rooms than messages. */
static Client *randomSender(void) {
  for (;;) {
    int room = (int)(randomNumber() % (u64)want.rooms);
    if (lanes[room].sent == lanes[room].done) return &clients[room * want.members + (int)(randomNumber() % (u64)want.members)];
  }
}

static void unitArrived(Client *sender, Lane *lane, u64 unit) {
  int slot = (int)(unit & (u64)(ring - 1));
  if (--lane->left[slot]) return;
  lane->done++;
  inFlight--;
  messages++;
  if (phase == MEASURE && !want.rate) sample(now - lane->at[slot]);
  if (want.rate || phase > MEASURE) return;
  sendNext(want.random ? randomSender() : sender, now);
}

/* ---- checking ---------------------------------------------------------------------------------------------------- */

static void arrived(void) {
  deliveries++;
  outstanding--;
  lastArrival = now;
}

/** Checks a client that reads again after its pause. It may be closed, but it must not miss messages silently. */
static void stalledEnds(const char *outcome) {
  if (phase == DONE) return;
  stalledOutcome = outcome;
  phase = DONE;
}

static void gap(Client *c, u64 came, u64 expected) {
  if (c->stalled) {
    stalledEnds("gap");
    return;
  }
  FAIL(c, "%s: number %llu came, %llu was expected", came < expected ? "a duplicate or out of order" : "a gap",
       (unsigned long long)came, (unsigned long long)expected);
}

static void numbered(Client *c, u64 number) {
  if (number != c->next) {
    gap(c, number, c->next);
    return;
  }
  c->next++;
  Lane *lane = &lanes[c->room];
  u64 last = c->unitEnd;
  if (number >= lane->sent * (u64)want.burst) FAIL(c, "number %llu came, and was never sent", (unsigned long long)number);
  if (c->stalled) {
    if (c->next == lane->sent * (u64)want.burst) stalledEnds("caught up");
    return;
  }
  arrived();
  if (c->next < last) return;
  u64 unit = c->unitEnd / (u64)want.burst - 1;
  c->unitEnd += (u64)want.burst;
  if (want.rate && phase == MEASURE) sample(now - lane->at[unit & (u64)(ring - 1)]);
  unitArrived(&clients[c->room * want.members], lane, unit);
}

/**
 * Mixed: the server answers a message with a private reply (a), the message to the room (r), and another private reply
 * (z). The sender must see the three in a row; the messages of a room come to all of its members in one order.
 */
static void mixed(Client *c, u64 number, int sender, int kind) {
  if (sender < 0 || sender >= want.drivers) FAIL(c, "a message of sender %d, who never sent", sender);
  int own = sender == c->member;
  int step = kind == 'a' ? 0 : kind == 'r' ? (own ? 1 : 0) : kind == 'z' ? 2 : -1;
  if (step < 0) FAIL(c, "a message of an unknown kind");
  if (kind != 'r' && !own) FAIL(c, "a private reply to member %d", sender);
  if (step != c->step) FAIL(c, "out of order: %c of sender %d came at step %d", kind, sender, c->step);
  if (number != c->laneNext[sender]) gap(c, number, c->laneNext[sender]);
  Lane *lane = &lanes[c->room * want.drivers + sender];
  if (number >= lane->sent) FAIL(c, "number %llu came, and was never sent", (unsigned long long)number);
  if (own) c->step = (c->step + 1) % 3;
  if (kind == 'r') {
    u64 *length = &logLength[c->room];
    int slot = c->room * LOG + (int)(c->position & (LOG - 1));
    if (c->position == *length) {
      logs[slot].sender = sender;
      logs[slot].number = number;
      (*length)++;
    } else if (logs[slot].sender != sender || logs[slot].number != number) {
      FAIL(c, "message %llu of the room is not the one that another member got", (unsigned long long)c->position);
    }
    c->position++;
  }
  if (own ? kind == 'z' : kind == 'r') c->laneNext[sender]++;
  arrived();
  unitArrived(&clients[c->room * want.members + sender], lane, number);
}

static void textArrived(Client *c, const Frame *frame) {
  const u8 *p = frame->payload + prefixSize;
  if (frame->length != bodySize) FAIL(c, "a text of %llu bytes came, %zu were expected: %.40s", (unsigned long long)frame->length, bodySize, frame->payload);
  if (memcmp(frame->payload, want.prefix, prefixSize) || memcmp(p, "{\"n\":", 5) || memcmp(p + 26, "\"k\":\"", 5)) {
    FAIL(c, "an unexpected text came: %.40s", frame->payload);
  }
  u64 number = readDigits(p + 5, 10) - FIRST;
  if (want.drivers) mixed(c, number, (int)readDigits(p + 20, 5) - SENDER, p[31]);
  else numbered(c, number);
}

static void becomeOpen(Client *c);

static void greetingArrived(Client *c) {
  if (c->state == SIO_OPEN) {
    sendFrame(c, TEXT, "40", 2);
    c->state = SIO_JOIN;
  } else if (c->state == SIO_JOIN) {
    becomeOpen(c);
  }
}

/** Socket.IO 4 over Engine.IO 4: "0{...}" opens, "40" joins, "2" is a ping. True when the text was one of these. */
static int socketIo(Client *c, const Frame *frame) {
  const u8 *p = frame->payload;
  if ((c->state == SIO_OPEN && p[0] == '0') || (c->state == SIO_JOIN && frame->length > 2 && !memcmp(p, "40", 2))) {
    greetingArrived(c);
  } else if (frame->length == 1 && p[0] == '2') {
    sendFrame(c, TEXT, "3", 1);
  } else {
    return 0;
  }
  return 1;
}

/** enfilade.v1: the first text welcomes. True when it was that one. */
static int welcomed(Client *c, const Frame *frame) {
  static const char welcome[] = "{\"type\":\"welcome\"";
  if (c->state != V1_WELCOME) return 0;
  if (frame->length < sizeof welcome - 1 || memcmp(frame->payload, welcome, sizeof welcome - 1)) {
    FAIL(c, "no welcome came, but: %.*s", frame->look, frame->payload);
  }
  becomeOpen(c);
  return 1;
}

static int isGreeting(Client *c, const Frame *frame) {
  return want.socketio ? socketIo(c, frame) : want.v1 ? welcomed(c, frame) : 0;
}

static void closeArrived(Client *c, const Frame *frame) {
  int code = frame->length >= 2 ? frame->payload[0] << 8 | frame->payload[1] : 1005;
  if (!c->stalled) FAIL(c, "the server closed it: %d %.*s", code, frame->look > 2 ? frame->look - 2 : 0, frame->payload + 2);
  stalledCode = code;
  stalledEnds("closed");
}

static void frameArrived(Client *c, const Frame *frame) {
  if (frame->opcode == TEXT && frame->rsv1) {
    if (!want.deflate) FAIL(c, "a compressed frame came, and none was agreed on");
    compressed++;
    /* Only counted. With context takeover ws compresses messages of any size, so the greetings of Socket.IO too. */
    if (c->state == OPEN) numbered(c, c->next);
    else greetingArrived(c);
  } else if (frame->opcode == TEXT) {
    if (!isGreeting(c, frame)) textArrived(c, frame);
  } else if (frame->opcode == PING) {
    sendFrame(c, PONG, frame->payload, frame->length);
  } else if (frame->opcode == PONG) {
    if (phase != BARRIER || c->ponged) FAIL(c, "a pong came that was not asked for");
    c->ponged = 1;
    ponged++;
  } else if (frame->opcode == CLOSE) {
    closeArrived(c, frame);
  } else {
    FAIL(c, "a frame with opcode %d came", frame->opcode);
  }
}

/* ---- receiving --------------------------------------------------------------------------------------------------- */

/** Reads a frame's header and the beginning of its payload; returns how many bytes that takes, more than `n`: not yet. */
static size_t lookAt(Client *c, const u8 *p, size_t n, Frame *frame) {
  if (n < 2) return 2;
  if (p[1] & 0x80) FAIL(c, "a masked frame came");
  if ((p[0] & 0xb0) != 0x80) FAIL(c, "a frame came with the first byte %02x: a fragment, or reserved bits", p[0]);
  size_t header = (p[1] & 127) < 126 ? 2 : (p[1] & 127) == 126 ? 4 : 10;
  if (n < header) return header;
  u64 length = header == 2 ? p[1] & 127 : 0;
  for (size_t i = 2; i < header; i++) length = length << 8 | p[i];
  int look = length < LOOK ? (int)length : LOOK;
  *frame = (Frame){ p[0] & 15, (p[0] & 0x40) != 0, length, look, p + header };
  return header + (size_t)look;
}

/** A frame is taken when its last byte has come; until then its beginning is kept. */
static void begin(Client *c, const Frame *frame) {
  c->skip = frame->length - (u64)frame->look;
  if (c->skip == 0) {
    frameArrived(c, frame);
    return;
  }
  c->opcode = frame->opcode;
  c->rsv1 = frame->rsv1;
  c->frameLength = frame->length;
  c->frameLook = frame->look;
  memmove(c->head, frame->payload, (size_t)frame->look);
}

static void parse(Client *c, const u8 *p, size_t n) {
  Frame frame;
  while (n > 0) {
    size_t took;
    if (c->skip) {
      took = n < c->skip ? n : (size_t)c->skip;
      c->skip -= took;
      if (c->skip == 0) {
        frame = (Frame){ c->opcode, c->rsv1, c->frameLength, c->frameLook, c->head };
        frameArrived(c, &frame);
      }
    } else if (c->have == 0 && (took = lookAt(c, p, n, &frame)) <= n) {
      begin(c, &frame);
    } else {
      size_t needs = lookAt(c, c->head, (size_t)c->have, &frame) - (size_t)c->have;
      took = n < needs ? n : needs;
      memcpy(c->head + c->have, p, took);
      c->have += (int)took;
      if (lookAt(c, c->head, (size_t)c->have, &frame) == (size_t)c->have) {
        c->have = 0;
        begin(c, &frame);
      }
    }
    p += took;
    n -= took;
  }
}

static void becomeOpen(Client *c) {
  c->state = OPEN;
  opened++;
}

/** Reads the HTTP response; true with the following bytes in `rest`. The key and its answer are always the same. */
static int shaken(Client *c, const u8 *p, size_t n, size_t *rest) {
  enum { SIZE = 4096 };
  if (!c->answer) c->answer = zeroed(SIZE, 1);
  size_t takes = n < (size_t)(SIZE - 1 - c->answerHas) ? n : (size_t)(SIZE - 1 - c->answerHas);
  memcpy(c->answer + c->answerHas, p, takes);
  c->answerHas += (int)takes;
  c->answer[c->answerHas] = 0;
  char *end = strstr(c->answer, "\r\n\r\n");
  if (!end && c->answerHas == SIZE - 1) FAIL(c, "the HTTP response is too long");
  if (!end) return 0;
  *rest = (size_t)(c->answer + c->answerHas - (end + 4)) + (n - takes);
  end[2] = 0;
  if (strncmp(c->answer, "HTTP/1.1 101", 12)) FAIL(c, "the upgrade was refused: %.80s", c->answer);
  if (!strstr(c->answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) FAIL(c, "a wrong Sec-WebSocket-Accept came");
  if (!strcasestr(c->answer, "permessage-deflate") != !want.deflate) {
    FAIL(c, "permessage-deflate was %s", want.deflate ? "refused" : "agreed on, and not offered");
  }
  if (!strcasestr(c->answer, "\r\nSec-WebSocket-Protocol: enfilade.v1\r\n") != !want.v1) {
    FAIL(c, "enfilade.v1 was %s", want.v1 ? "refused" : "agreed on, and not offered");
  }
  free(c->answer);
  c->answer = 0;
  return 1;
}

static void receive(Client *c) {
  static u8 buffer[256 * 1024];
  ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
  now = clockNs();
  if (n <= 0) {
    if (!c->stalled) FAIL(c, "the connection is gone: %s", n ? strerror(errno) : "end of file");
    stalledEnds("cut");
    return;
  }
  wireBytes += (u64)n;
  const u8 *p = buffer;
  size_t left = (size_t)n;
  if (c->state == SHAKING) {
    size_t rest;
    if (!shaken(c, p, left, &rest)) return;
    p += left - rest;
    left = rest;
    if (want.socketio) c->state = SIO_OPEN;
    else if (want.v1) c->state = V1_WELCOME;
    else becomeOpen(c);
  }
  parse(c, p, left);
}

/* ---- connecting -------------------------------------------------------------------------------------------------- */

static void set(Client *c, int level, int name, int value) {
  if (setsockopt(c->fd, level, name, &value, sizeof value)) FAIL(c, "setsockopt: %s", strerror(errno));
}

static void startConnecting(Client *c) {
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c->fd < 0) FAIL(c, "socket: %s (see ulimit -n)", strerror(errno));
  set(c, IPPROTO_TCP, TCP_NODELAY, 1);
  if (c->stalled) {
    /* As over Ethernet, and with a small window: then the server has to buffer soon. */
    set(c, IPPROTO_TCP, TCP_MAXSEG, 1400);
    set(c, SOL_SOCKET, SO_RCVBUF, 4096);
  }
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)want.port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) FAIL(c, "connect: %s", strerror(errno));
  watch(c, EPOLL_CTL_ADD, EPOLLOUT);
}

static void askForUpgrade(Client *c) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error) FAIL(c, "connect: %s", strerror(error));
  char request[512];
  int n = snprintf(request, sizeof request,
                   "GET %s%d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s%s\r\n",
                   want.path, c->room, want.port,
                   want.deflate ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" : "",
                   want.v1 ? "Sec-WebSocket-Protocol: enfilade.v1\r\n" : "");
  memcpy(reserve(c, (size_t)n), request, (size_t)n);
  c->state = SHAKING;
  watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

/* ---- phases ------------------------------------------------------------------------------------------------------ */

static u64 beganAt, endedAt, beganDeliveries, beganMessages, beganBytes, measuredDeliveries, measuredMessages, measuredBytes;
static double beganCpu, measuredCpu, connectSeconds;

__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...) {
  va_list list;
  va_start(list, format);
  vprintf(format, list);
  va_end(list);
  fflush(stdout);
}

static void startLoad(void) {
  if (stalledClient) epoll_ctl(epollFd, EPOLL_CTL_DEL, stalledClient->fd, 0);
  if (want.rate) {
    struct itimerspec every = { .it_interval = { 0, 1000000000 / want.rate }, .it_value = { 0, 1000000000 / want.rate } };
    timerFd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (timerFd < 0 || timerfd_settime(timerFd, 0, &every, 0)) fail("timerfd: %s", strerror(errno));
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = &timerFd };
    epoll_ctl(epollFd, EPOLL_CTL_ADD, timerFd, &event);
    rateStart = now;
  } else if (want.random) {
    for (int i = 0; i < want.flight; i++) sendNext(randomSender(), now);
  } else {
    int senders = want.drivers ? want.drivers : 1;
    for (int room = 0; room < want.rooms; room++) {
      for (int i = 0; i < senders * want.flight; i++) sendNext(&clients[room * want.members + i % senders], now);
    }
  }
}

static void rateTick(void) {
  u64 times;
  if (read(timerFd, &times, sizeof times) != sizeof times) return;
  for (; times; times--) {
    rateSent++;
    /* The due time, not the send time: a late generator must not hide a late server. */
    if (phase <= MEASURE) sendNext(&clients[0], rateStart + rateSent * (1000000000u / (u64)want.rate));
  }
}

static void beginMeasuring(void) {
  phase = MEASURE;
  tell("{\"event\":\"begin\"}\n");
  beganAt = clockNs();
  beganCpu = cpuSeconds();
  beganDeliveries = deliveries;
  beganMessages = messages;
  beganBytes = wireBytes;
  phaseEnds = beganAt + (u64)want.measureMs * 1000000u;
}

static void endMeasuring(void) {
  endedAt = clockNs();
  measuredCpu = cpuSeconds() - beganCpu;
  tell("{\"event\":\"end\"}\n");
  measuredDeliveries = deliveries - beganDeliveries;
  measuredMessages = messages - beganMessages;
  measuredBytes = wireBytes - beganBytes;
  phase = DRAIN;
}

static void startBarrier(void) {
  phase = BARRIER;
  for (int i = 0; i < clientCount; i++) {
    if (&clients[i] != stalledClient) sendFrame(&clients[i], PING, "", 0);
  }
}

static void startCatchingUp(void) {
  phase = CATCH_UP;
  watch(stalledClient, EPOLL_CTL_ADD, EPOLLIN);
  phaseEnds = now + 10000000000u;
}

static void connected(void) {
  connectSeconds = (double)(now - startedAt) / 1e9;
  tell("{\"event\":\"connected\",\"seconds\":%.6f,\"connections\":%d}\n", connectSeconds, clientCount);
  lastArrival = now;
  if (want.idle) {
    phase = WAIT;
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = &want };
    if (epoll_ctl(epollFd, EPOLL_CTL_ADD, 0, &event)) fail("stdin must be a pipe");
    return;
  }
  phase = WARM;
  phaseEnds = now + (u64)want.warmMs * 1000000u;
  startLoad();
}

static void failQuiet(void) {
  for (int i = 0; i < clientCount; i++) {
    Client *c = &clients[i];
    if (c == stalledClient) continue;
    Lane *lane = &lanes[c->room];
    if (want.drivers ? c->position < logLength[c->room] || c->step : c->next < lane->sent * (u64)want.burst) {
      FAIL(c, "nothing came for %d ms, and number %llu is missing", want.quietMs, (unsigned long long)c->next);
    }
  }
  fail("nothing came for %d ms, and %llu messages are missing", want.quietMs, (unsigned long long)outstanding);
}

static void advance(void) {
  now = clockNs();
  if (now - startedAt > (u64)want.maxMs * 1000000u) fail("not done after %d ms: phase %d, %d of %d connected, %llu deliveries to come", want.maxMs, phase, opened, clientCount, (unsigned long long)outstanding);
  if (phase == CONNECT) {
    while (started < clientCount && started - opened < want.connecting) startConnecting(&clients[started++]);
    if (opened == clientCount) connected();
  }
  if (outstanding && now - lastArrival > (u64)want.quietMs * 1000000u) failQuiet();
  if (phase == WARM && now >= phaseEnds) beginMeasuring();
  if (phase == MEASURE && now >= phaseEnds) endMeasuring();
  if (phase == DRAIN && outstanding == 0) startBarrier();
  if (phase == BARRIER && ponged == clientCount - (stalledClient != 0)) {
    if (stalledClient) startCatchingUp();
    else phase = DONE;
  }
  if (phase == CATCH_UP && now >= phaseEnds) {
    stalledEnds("still behind");
  }
}

static int timeoutMs(void) {
  if (phase != WARM && phase != MEASURE) return 100;
  return now >= phaseEnds ? 0 : (int)((phaseEnds - now) / 1000000u) + 1;
}

static void handle(struct epoll_event *event) {
  if (event->data.ptr == &timerFd) {
    rateTick();
  } else if (event->data.ptr == &want) {
    phase = DONE;
  } else {
    Client *c = event->data.ptr;
    if (c->state == CONNECTING) {
      askForUpgrade(c);
      return;
    }
    if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
    if ((event->events & EPOLLOUT) && !c->dirty) flush(c);
  }
}

static void loop(void) {
  enum { EVENTS = 512 };
  struct epoll_event events[EVENTS];
  now = startedAt = lastArrival = clockNs();
  for (;;) {
    advance();
    flushAll();
    if (phase == DONE) return;
    int n = epoll_wait(epollFd, events, EVENTS, timeoutMs());
    now = clockNs();
    for (int i = 0; i < n && phase != DONE; i++) handle(&events[i]);
    flushAll();
  }
}

/* ---- beginning and end ------------------------------------------------------------------------------------------- */

static void readSettings(int count, char **given) {
  for (int i = 1; i < count; i++) {
    char *equals = strchr(given[i], '=');
    size_t found = 0, known = sizeof settings / sizeof *settings;
    for (; equals && found < known; found++) {
      if (strlen(settings[found].name) != (size_t)(equals - given[i])) continue;
      if (!strncmp(settings[found].name, given[i], (size_t)(equals - given[i]))) break;
    }
    if (!equals || found == known) fail("unknown setting %s", given[i]);
    if (settings[found].number) *settings[found].number = atoi(equals + 1);
    else *settings[found].text = equals + 1;
  }
  if (want.random && want.rooms <= want.flight) fail("random needs more rooms than flight");
  if (want.v1 && (want.deflate || want.socketio)) fail("v1 goes with neither deflate nor socketio");
  if (want.drivers * want.flight > LOG / 2) fail("too many messages in flight");
}

static void make(void) {
  clientCount = want.rooms * want.members;
  laneCount = want.rooms * (want.drivers ? want.drivers : 1);
  ring = 4;
  while (ring < want.flight * 2 || (want.rate && ring < 8192)) ring *= 2;
  clients = zeroed((size_t)clientCount, sizeof *clients);
  dirty = zeroed((size_t)clientCount, sizeof *dirty);
  lanes = zeroed((size_t)laneCount, sizeof *lanes);
  for (int i = 0; i < laneCount; i++) {
    lanes[i].left = zeroed((size_t)ring, sizeof(int));
    lanes[i].at = zeroed((size_t)ring, sizeof(u64));
  }
  if (want.drivers) {
    logs = zeroed((size_t)want.rooms * LOG, sizeof *logs);
    logLength = zeroed((size_t)want.rooms, sizeof *logLength);
  }
  for (int i = 0; i < clientCount; i++) {
    Client *c = &clients[i];
    c->room = i / want.members;
    c->member = i % want.members;
    c->unitEnd = (u64)want.burst;
    if (want.drivers) c->laneNext = zeroed((size_t)want.drivers, sizeof(u64));
  }
  if (want.stall) {
    stalledClient = &clients[1];
    stalledClient->stalled = 1;
  }
}

static void raiseFileLimit(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < (rlim_t)clientCount + 64) {
    fail("%d connections need as many open files, and %llu are allowed (ulimit -n)", clientCount, (unsigned long long)limit.rlim_cur);
  }
}

static void tellResult(void) {
  double seconds = (double)(endedAt - beganAt) / 1e9;
  double busy = seconds > 0 ? measuredCpu / seconds : 0;
  tell("{\"event\":\"result\",\"connections\":%d,\"connectSeconds\":%.6f,\"seconds\":%.6f,\"deliveries\":%llu,"
       "\"messages\":%llu,\"totalDeliveries\":%llu,\"compressedFrames\":%llu,\"wireBytes\":%llu,\"samples\":%llu,\"p50Us\":%.1f,\"p99Us\":%.1f,"
       "\"cpuSeconds\":%.6f,\"idleShare\":%.4f,\"stalled\":\"%s\",\"stalledCode\":%d}\n",
       clientCount, connectSeconds, seconds, (unsigned long long)measuredDeliveries,
       (unsigned long long)measuredMessages, (unsigned long long)deliveries, (unsigned long long)compressed,
       (unsigned long long)measuredBytes, (unsigned long long)sampled, percentileUs(0.5), percentileUs(0.99), measuredCpu, busy < 1 ? 1 - busy : 0,
       stalledOutcome, stalledCode);
}

/** With a reset, so that no port is left in TIME_WAIT. */
static void reset(void) {
  struct linger none = { 1, 0 };
  for (int i = 0; i < clientCount; i++) {
    setsockopt(clients[i].fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(clients[i].fd);
  }
}

int main(int count, char **given) {
  readSettings(count, given);
  signal(SIGPIPE, SIG_IGN);
  epollFd = epoll_create1(EPOLL_CLOEXEC);
  make();
  makeBodies();
  raiseFileLimit();
  loop();
  tellResult();
  reset();
  return 0;
}
