/* SPDX-License-Identifier: MIT */
/*
 * Error codes and the story behind them.
 *
 * A fallible function returns 0 (or a non-negative count) or a negative code. Codes of the operating
 * system and of libuv keep their values (-errno), so what libuv returns can be passed on as it is;
 * Sluice's own codes lie below -5000. A code is what programs decide on; the sl_error that a task
 * carries beside it is what people read: message, cause chain, and for a scope the tree of its
 * children's errors.
 */
#ifndef SLUICE_ERROR_H
#define SLUICE_ERROR_H

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__)
#define SL_MUST_CHECK __attribute__((warn_unused_result))
#define SL_PRINTF(format_index, first_index) __attribute__((format(printf, format_index, first_index)))
#define SL_NORETURN __attribute__((noreturn))
#else
#define SL_MUST_CHECK
#define SL_PRINTF(format_index, first_index)
#define SL_NORETURN
#endif

/* Codes shared with errno and libuv. */
#define SL_ECANCELED (-ECANCELED)   /* the scope around the call was cancelled */
#define SL_ETIMEDOUT (-ETIMEDOUT)   /* the deadline of the scope that returns it passed */
#define SL_ENOMEM (-ENOMEM)         /* an allocation failed; nothing has changed */
#define SL_EINVAL (-EINVAL)         /* an argument is out of its range */
#define SL_EAGAIN (-EAGAIN)         /* a try_ call would have had to wait */
#define SL_EBUSY (-EBUSY)           /* held by someone else */
#define SL_ENOENT (-ENOENT)         /* no such thing */
#define SL_EEXIST (-EEXIST)         /* there already */
#define SL_EPIPE (-EPIPE)           /* the peer no longer reads */
#define SL_ECONNRESET (-ECONNRESET) /* the peer cut the connection */
#define SL_EMSGSIZE (-EMSGSIZE)     /* larger than a named limit */
#define SL_EPROTO (-EPROTO)         /* the peer broke the protocol */
#define SL_ENOTSUP (-ENOTSUP)       /* not available here */
#define SL_ERANGE (-ERANGE)         /* a number that cannot be represented */
#define SL_ENOHOST (-3008)          /* no such host name, or it has no address (libuv's UV_EAI_NONAME) */
#define SL_ERESOLVE (-3001)         /* the name servers do not answer, or fail (libuv's UV_EAI_AGAIN) */
#define SL_EOF (-4095)              /* end of stream (libuv's UV_EOF) */

/* Codes of Sluice. */
#define SL_ECLOSED (-5001)      /* this end, scope or runtime is closed */
#define SL_EBROKEN (-5002)      /* the other end of a channel, or the owner of a lock, is gone */
#define SL_EMISUSE (-5003)      /* the caller broke a rule of the API; the message says which */
#define SL_ENOTASK (-5004)      /* a call that needs a task was made outside one */
#define SL_ENOTOWNER (-5005)    /* released, closed or changed by someone who does not hold it */
#define SL_EALREADY (-5006)     /* done already: acquired, started, closed or borrowed twice */
#define SL_ENOTSTARTED (-5007)  /* a task ended before it called sl_started() */
#define SL_EIGNORE (-5008)      /* a supervised child opted out of starting */
#define SL_EINTENSITY (-5009)   /* a supervisor's restart budget is used up */
#define SL_ESHUTDOWN (-5010)    /* a supervisor ended because a significant child did */
#define SL_ESTUCK (-5011)       /* a cleanup or a stopping child used up its budget */
#define SL_ELOCKLOST (-5013)    /* a distributed lock or lease was lost */
#define SL_EINTERNAL (-5014)    /* a part of Sluice itself failed */
#define SL_ERUNNING (-5015)     /* the supervised child is running */
#define SL_ERESTARTING (-5016)  /* the supervised child is between two runs */
#define SL_EINTERRUPTED (-5017) /* SIGINT or SIGTERM ended the program */
#define SL_ELAGGED (-5019)      /* a subscriber fell behind and lost items */
#define SL_ECERTIFICATE (-5020) /* a certificate was refused; the message says why, and by whom */
#define SL_ETLS (-5021)         /* TLS could not be agreed on, or was broken */
#define SL_ELIMITED (-5030)     /* a rate limit or ban would have to be waited for too long */
#define SL_EBREAKER (-5031)     /* a circuit breaker is open */
#define SL_EGAVEUP (-5032)      /* all attempts failed; the cause is the last one's error */
#define SL_EBUDGET (-5033)      /* the budget for retries is used up; the cause is the last attempt's error */
#define SL_EREPLY (-5040)       /* a server answered with an error; the message is its text */
#define SL_ENOTREADY (-5041)    /* a server cannot serve this just now; later it may */

/* A readable text for a code ("operation cancelled"); never NULL, static storage, any thread. */
const char *sl_strerror(int code);

/* The symbol of a code ("SL_ECANCELED"); "UNKNOWN" where there is none; static storage, any thread. */
const char *sl_error_name(int code);

/* One node of an error's story. Opaque; read it through the functions below. */
typedef struct sl_error sl_error;

/*
 * Records what went wrong on the current task and returns `code`, so that a function can end in
 * `return sl_fail(SL_EPROTO, "bad frame type %d", type);`. Replaces what was recorded before. When
 * memory is short the message is dropped and the code stays. Outside a task it only returns the code.
 */
int sl_fail(int code, const char *format, ...) SL_PRINTF(2, 3);

/*
 * As sl_fail(), and keeps what was recorded for this task as the cause: reading a price fails because
 * the connection was reset. Call it only right after a callee failed. Of more than SL_ERROR_CAUSES_MAX causes in a row
 * the oldest are forgotten.
 */
#define SL_ERROR_CAUSES_MAX 16
int sl_fail_because(int code, const char *format, ...) SL_PRINTF(2, 3);

#if defined(__clang_analyzer__) && !defined(SL_ERROR_NO_MACROS)
/* The analyzer does not look into other files: it has to know that the code comes back. */
#define sl_fail(code, ...) ((void)(sl_fail)((code), __VA_ARGS__), (code))
#define sl_fail_because(code, ...) ((void)(sl_fail_because)((code), __VA_ARGS__), (code))
#endif

/*
 * What the current task recorded last, NULL if nothing. Borrowed: valid until the task's next failing
 * call. `sl_error_last_code` is its code or 0.
 */
const sl_error *sl_error_last(void);
int sl_error_last_code(void);

/*
 * The code that lies behind `code`. When a scope was left early because its own deadline passed or its
 * child failed, the body saw SL_ECANCELED; this gives SL_ETIMEDOUT or the child's code instead, as
 * sl_scope_close() would have. Any other code is returned as it is.
 */
int sl_error_resolve(int code);

/* Parts of an error. Strings and nodes are borrowed from the error. NULL gives 0 or NULL or "". */
int sl_error_code(const sl_error *error);
const char *sl_error_message(const sl_error *error);   /* never NULL; may be "" */
const char *sl_error_task(const sl_error *error);      /* path of the task it happened in, or "" */
const sl_error *sl_error_cause(const sl_error *error); /* what led to it, or NULL */
size_t sl_error_count(const sl_error *error);          /* how many errors of children and cleanups it collects */
const sl_error *sl_error_at(const sl_error *error,
                            size_t index); /* one of these, in the order they happened, or NULL */

/*
 * The error when there is exactly one in the tree (a scope always returns a collection, also of one),
 * else NULL.
 */
const sl_error *sl_error_only(const sl_error *error);

/* True if `code` is anywhere in the tree. */
int sl_error_has(const sl_error *error, int code);

/* A new reference; both must be released. NULL gives NULL. Same thread only. */
sl_error *sl_error_ref(const sl_error *error);
void sl_error_unref(sl_error *error);

/*
 * Writes the tree as indented text, one error a line, into `buffer` (always NUL-terminated when
 * `size_bytes` > 0). Returns the length the whole text has, like snprintf().
 */
size_t sl_error_print(const sl_error *error, char *buffer, size_t size_bytes);

/*
 * Returns from the calling function with the code of `expression` when it is negative. A compound
 * literal inside it ends with the macro's block: what a task is to keep needs a variable.
 */
#define SL_TRY(expression)                                                                                             \
    do {                                                                                                               \
        int sl__try_code = (expression);                                                                               \
        if (sl__try_code < 0) {                                                                                        \
            return sl__try_code;                                                                                       \
        }                                                                                                              \
    } while (0)

#ifdef __cplusplus
}
#endif

#endif
