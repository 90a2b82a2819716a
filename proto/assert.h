/* Assertions for programmer errors: always compiled in, one condition each. Bytes from outside are
 * validated, never asserted. */
#ifndef STEAD_PROTO_ASSERT_H
#define STEAD_PROTO_ASSERT_H

/* Called when an assertion fails; must not return. The one symbol the pure code takes from its
 * driver: the daemon logs and aborts, the simulator reports a violation. */
_Noreturn void stead_panic(const char *file, int line, const char *condition);

#define ASSERT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            stead_panic(__FILE__, __LINE__, #condition);                                           \
        }                                                                                          \
    } while (0)

/* Where no path leads. */
#define IMPOSSIBLE(why) stead_panic(__FILE__, __LINE__, why)

#endif
