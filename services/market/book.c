/* SPDX-License-Identifier: MIT */
/*
 * The order book: see book.h. A side is sorted so that its best level is the last one of its last block,
 * because most changes happen there and then move the fewest bytes.
 */
#include "book.h"

#include <assert.h>
#include <string.h>

/*
 * Levels of a block: one of 2 KiB. Measured with tests/bench/decode on a book of 5000 levels a side, ns a
 * change: 16: 75, 32: 74, 64: 73, 128: 78; one sorted array for all levels: 144.
 */
#define BLOCK_LEVELS 64

/* A block that shrinks below this is merged with a neighbour if both together fill at most half a block. */
#define BLOCK_SMALL (BLOCK_LEVELS / 4)

/* Blocks of a snapshot are filled so far: changes follow. */
#define BLOCK_FILLED (BLOCK_LEVELS - BLOCK_LEVELS / 4)

/* Blocks are taken from the heap by the slab. */
#define SLAB_BLOCKS 16

union block {
    union block *next_free;
    sl_level levels[BLOCK_LEVELS];
};

struct slab {
    struct slab *next;
    union block blocks[SLAB_BLOCKS];
};

/* An entry of the directory: a block, how many levels are in it, and the price of the first, worst one. */
struct slot {
    sl_decimal first;
    uint32_t count;
    union block *block;
};

/* Entries that a side has room for in itself: so many blocks are found without a further step through memory. */
#define SLOTS_FEW 4

struct side {
    int sign;           /* 1: the higher price is the better (bids), -1: the lower */
    struct slot *slots; /* `few`, or from the heap */
    size_t slot_count;
    size_t slot_capacity;
    size_t level_count;
    size_t hint; /* the slot used last: changes of one message come sorted */
    struct slot few[SLOTS_FEW];
};

struct sl_book {
    struct side bids;
    struct side asks;
    size_t levels_max;
    struct slab *slabs;
    union block *free;
    size_t free_count;
};

/* Greater than 0 if `a` is the better price. */
static inline int compare(const struct side *side, sl_decimal a, sl_decimal b)
{
    return side->sign * sl_decimal_compare(a, b);
}

/* Whether `a` is the worse price. Both sides by one comparison: complements are ordered the other way round. */
static inline bool is_worse(const struct side *side, sl_decimal a, sl_decimal b)
{
    int64_t turned = side->sign < 0 ? -1 : 0;
    return a.exponent == b.exponent ? (a.mantissa ^ turned) < (b.mantissa ^ turned) : compare(side, a, b) < 0;
}

static const struct side *side_of(const sl_book *book, sl_side side)
{
    return side == SL_SIDE_BUY ? &book->bids : &book->asks;
}

static union block *take_block(sl_book *book)
{
    union block *block = book->free;
    assert(block != NULL); /* reserve_blocks() was asked for all that a message may need */
    book->free = block->next_free;
    book->free_count--;
    return block;
}

static void give_block(sl_book *book, union block *block)
{
    block->next_free = book->free;
    book->free = block;
    book->free_count++;
}

/* Makes sure that the directory of `side` has room for `slots` blocks in all. */
static int reserve_slots(struct side *side, size_t slots)
{
    if (slots > side->slot_capacity) {
        size_t capacity = side->slot_capacity;
        while (capacity < slots) {
            capacity *= 2;
        }
        bool own = side->slots != side->few;
        struct slot *bigger = sl_realloc(own ? side->slots : NULL, capacity * sizeof(*bigger));
        if (bigger == NULL) {
            return SL_ENOMEM;
        }
        if (!own) {
            memcpy(bigger, side->few, sizeof(side->few));
        }
        side->slots = bigger;
        side->slot_capacity = capacity;
    }
    return 0;
}

/* Makes sure of `blocks` free blocks. */
static int reserve_blocks(sl_book *book, size_t blocks)
{
    while (book->free_count < blocks) {
        struct slab *slab = sl_malloc(sizeof(*slab));
        if (slab == NULL) {
            return SL_ENOMEM;
        }
        slab->next = book->slabs;
        book->slabs = slab;
        for (size_t at = 0; at < SLAB_BLOCKS; at++) {
            give_block(book, &slab->blocks[at]);
        }
    }
    return 0;
}

static void side_clear(sl_book *book, struct side *side)
{
    for (size_t at = 0; at < side->slot_count; at++) {
        give_block(book, side->slots[at].block);
    }
    side->slot_count = 0;
    side->level_count = 0;
    side->hint = 0;
}

static void insert_slot(struct side *side, size_t at, union block *block, size_t count)
{
    memmove(&side->slots[at + 1], &side->slots[at], (side->slot_count - at) * sizeof(side->slots[0]));
    side->slots[at] = (struct slot){block->levels[0].price, (uint32_t)count, block};
    side->slot_count++;
}

static void remove_slot(sl_book *book, struct side *side, size_t at)
{
    give_block(book, side->slots[at].block);
    side->slot_count--;
    memmove(&side->slots[at], &side->slots[at + 1], (side->slot_count - at) * sizeof(side->slots[0]));
}

/* Whether `price` belongs into slot `at`, if it is in the book at all. */
static inline bool slot_covers(const struct side *side, size_t at, sl_decimal price)
{
    return (at == 0 || !is_worse(side, price, side->slots[at].first)) &&
           (at + 1 == side->slot_count || is_worse(side, price, side->slots[at + 1].first));
}

/* The slot that a price belongs into; the side must not be empty. */
static size_t find_slot(const struct side *side, sl_decimal price)
{
    size_t hint = side->hint;
    if (hint < side->slot_count && slot_covers(side, hint, price)) {
        return hint;
    }
    size_t low = 0; /* the last slot whose first price is not better than `price`, or 0 */
    size_t high = side->slot_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (!is_worse(side, price, side->slots[middle].first)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/*
 * The first level of the slot's block that is not worse than `price`. Branches are guessed: measured with 20 000 books, whose
 * levels are not near, fetching on a guess is quicker than waiting for each level to know which one is next.
 */
static size_t find_level(const struct side *side, const struct slot *slot, sl_decimal price)
{
    const sl_level *levels = slot->block->levels;
    size_t base = 0;
    size_t count = slot->count;
    while (count > 0) {
        size_t half = count / 2;
        if (is_worse(side, levels[base + half].price, price)) {
            base += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return base;
}

static bool is_price_at(const struct slot *slot, size_t at, sl_decimal price)
{
    return at < slot->count && sl_decimal_equal(slot->block->levels[at].price, price);
}

/* Moves the better half of a full block into a new one behind it. */
static void split(sl_book *book, struct side *side, size_t slot)
{
    struct slot *full = &side->slots[slot];
    union block *half = take_block(book);
    size_t moved = full->count / 2;
    full->count -= (uint32_t)moved;
    memcpy(half->levels, &full->block->levels[full->count], moved * sizeof(half->levels[0]));
    insert_slot(side, slot + 1, half, moved);
}

/* Appends the levels of slot `at` + 1 to slot `at` if both fill at most half a block. */
static bool merge(sl_book *book, struct side *side, size_t at)
{
    if (at + 1 >= side->slot_count) {
        return false;
    }
    struct slot *slot = &side->slots[at];
    const struct slot *next = slot + 1;
    if (slot->count + next->count > BLOCK_LEVELS / 2) {
        return false;
    }
    memcpy(&slot->block->levels[slot->count], next->block->levels, next->count * sizeof(sl_level));
    slot->count += next->count;
    remove_slot(book, side, at + 1);
    return true;
}

static void remove_level(sl_book *book, struct side *side, size_t at_slot, size_t at)
{
    struct slot *slot = &side->slots[at_slot];
    sl_level *levels = slot->block->levels;
    slot->count--;
    side->level_count--;
    memmove(&levels[at], &levels[at + 1], (slot->count - at) * sizeof(levels[0]));
    if (slot->count == 0) {
        remove_slot(book, side, at_slot);
        return;
    }
    slot->first = levels[0].price;
    if (slot->count < BLOCK_SMALL && !merge(book, side, at_slot) && at_slot > 0) {
        (void)merge(book, side, at_slot - 1);
    }
}

static void insert_level(sl_book *book, struct side *side, size_t at_slot, size_t at, const sl_level *level)
{
    if (side->slots[at_slot].count == BLOCK_LEVELS) {
        split(book, side, at_slot);
        if (at > side->slots[at_slot].count) {
            at -= side->slots[at_slot].count;
            at_slot++;
        }
    }
    struct slot *slot = &side->slots[at_slot];
    sl_level *levels = slot->block->levels;
    memmove(&levels[at + 1], &levels[at], (slot->count - at) * sizeof(levels[0]));
    levels[at] = *level;
    slot->count++;
    slot->first = levels[0].price;
    side->level_count++;
    side->hint = at_slot;
}

/* Sets, adds or removes one level. Cannot fail: memory was reserved. */
static void upsert(sl_book *book, struct side *side, const sl_level *level)
{
    bool removes = level->quantity.mantissa == 0;
    if (side->slot_count == 0) {
        if (!removes) {
            union block *block = take_block(book);
            block->levels[0] = *level;
            side->level_count = 1;
            insert_slot(side, 0, block, 1);
        }
        return;
    }
    size_t at_slot = find_slot(side, level->price);
    struct slot *slot = &side->slots[at_slot];
    size_t at = find_level(side, slot, level->price);
    side->hint = at_slot;
    if (is_price_at(slot, at, level->price)) {
        if (removes) {
            remove_level(book, side, at_slot, at);
        } else {
            slot->block->levels[at] = *level;
            slot->first = at == 0 ? level->price : slot->first; /* of another scale, perhaps */
        }
    } else if (!removes) {
        insert_level(book, side, at_slot, at, level);
    }
}

/* Checks quantities and counts the levels that are not removals. */
static int count_kept(const sl_level *levels, size_t count, size_t *ret_kept)
{
    size_t kept = 0;
    for (size_t at = 0; at < count; at++) {
        if (levels[at].quantity.mantissa < 0) {
            return SL_EINVAL;
        }
        kept += levels[at].quantity.mantissa != 0;
    }
    *ret_kept = kept;
    return 0;
}

/* Blocks that `count` changes to a side of `slots` blocks may take: each full block splits once, halves when refilled. */
static size_t blocks_for_changes(size_t slots, size_t count)
{
    size_t splits = slots + count / (BLOCK_LEVELS / 4);
    return (splits < count ? splits : count) + 1;
}

/* How many levels the side would have; a new price that comes twice is counted twice. */
static size_t count_after(const struct side *side, const sl_level *levels, size_t count)
{
    size_t added = 0;
    size_t removed = 0;
    for (size_t at = 0; at < count; at++) {
        bool there = false;
        if (side->slot_count > 0) {
            const struct slot *slot = &side->slots[find_slot(side, levels[at].price)];
            there = is_price_at(slot, find_level(side, slot, levels[at].price), levels[at].price);
        }
        added += !there && levels[at].quantity.mantissa != 0;
        removed += there && levels[at].quantity.mantissa == 0;
    }
    return side->level_count + added - (removed < side->level_count ? removed : side->level_count);
}

/* Checks the changes of one side and makes room in its directory; *ret_blocks is what they may take. */
static int prepare(sl_book *book, struct side *side, const sl_level *levels, size_t count, size_t *ret_blocks)
{
    size_t kept = 0;
    SL_TRY(count_kept(levels, count, &kept));
    if (side->level_count + kept > book->levels_max && count_after(side, levels, count) > book->levels_max) {
        return SL_EMSGSIZE;
    }
    *ret_blocks = blocks_for_changes(side->slot_count, count);
    return reserve_slots(side, side->slot_count + *ret_blocks);
}

/* Bytes that are fetched together. */
#define LINE_BYTES 64

/* Blocks of a side whose levels most changes are about. */
#define HOT_BLOCKS 3

/* Lines that are fetched with each change: all at once would have to wait for each other, and all that follows for them. */
#define LINES_AT_ONCE 4

/* How far a side has been fetched: the block, from the best one on, and the bytes of it. */
struct fetch {
    const struct side *side;
    size_t block, bytes;
};

/* Inlined: a call without effect, as gcc sees it, would be left out. */
static inline __attribute__((always_inline)) void fetch_lines(struct fetch *fetch, size_t lines)
{
    const struct side *side = fetch->side;
    while (lines > 0 && fetch->block < HOT_BLOCKS && fetch->block < side->slot_count) {
        const struct slot *slot = &side->slots[side->slot_count - 1 - fetch->block];
        for (; lines > 0 && fetch->bytes < slot->count * sizeof(sl_level); lines--) {
            __builtin_prefetch((const char *)slot->block + fetch->bytes, 1, 3);
            fetch->bytes += LINE_BYTES;
        }
        if (lines > 0) {
            fetch->block++;
            fetch->bytes = 0;
        }
    }
}

void sl_book_prefetch(const sl_book *book)
{
    for (size_t line = 0; line < sizeof(book->asks); line += LINE_BYTES) {
        __builtin_prefetch((const char *)&book->asks + line, 1, 3);
    }
    fetch_lines(&(struct fetch){.side = &book->bids}, SIZE_MAX);
    if (book->asks.slot_count > 0) { /* the best one is looked at before any change */
        const struct slot *slot = &book->asks.slots[book->asks.slot_count - 1];
        __builtin_prefetch(&slot->block->levels[slot->count - 1], 1, 3);
    }
}

int sl_book_apply(sl_book *book, const sl_levels *changes)
{
    size_t bid_blocks = 0;
    size_t ask_blocks = 0;
    SL_TRY(prepare(book, &book->bids, changes->bids, changes->bid_count, &bid_blocks));
    SL_TRY(prepare(book, &book->asks, changes->asks, changes->ask_count, &ask_blocks));
    SL_TRY(reserve_blocks(book, bid_blocks + ask_blocks));
    struct fetch asks = {.side = &book->asks};
    for (size_t at = 0; at < changes->bid_count; at++) {
        fetch_lines(&asks, LINES_AT_ONCE);
        upsert(book, &book->bids, &changes->bids[at]);
    }
    for (size_t at = 0; at < changes->ask_count; at++) {
        upsert(book, &book->asks, &changes->asks[at]);
    }
    return 0;
}

/* 1 if each price is better than the one before, -1 if worse, 0 if neither holds throughout. */
static int direction(const struct side *side, const sl_level *levels, size_t count)
{
    int direction = 1;
    for (size_t at = 1; at < count; at++) {
        int step = compare(side, levels[at].price, levels[at - 1].price);
        step = (step > 0) - (step < 0);
        if (step == 0 || (at > 1 && step != direction)) {
            return 0;
        }
        direction = step;
    }
    return direction;
}

/* Fills an empty side. */
static void fill(sl_book *book, struct side *side, const sl_level *levels, size_t count)
{
    int order = direction(side, levels, count);
    struct slot *slot = NULL;
    for (size_t at = 0; at < count; at++) {
        const sl_level *level = order < 0 ? &levels[count - 1 - at] : &levels[at];
        if (order == 0) {
            upsert(book, side, level);
        } else if (level->quantity.mantissa != 0) {
            if (slot != NULL && slot->count < BLOCK_FILLED) {
                slot->block->levels[slot->count++] = *level;
            } else {
                union block *block = take_block(book);
                block->levels[0] = *level;
                slot = &side->slots[side->slot_count];
                insert_slot(side, side->slot_count, block, 1);
            }
            side->level_count++;
        }
    }
}

/* Blocks for a side of `count` levels, whether they come sorted or not. */
static size_t blocks_for_set(size_t count)
{
    return count / (BLOCK_LEVELS / 4) + 2;
}

int sl_book_set(sl_book *book, const sl_levels *levels)
{
    size_t bids = 0;
    size_t asks = 0;
    SL_TRY(count_kept(levels->bids, levels->bid_count, &bids));
    SL_TRY(count_kept(levels->asks, levels->ask_count, &asks));
    if (bids > book->levels_max || asks > book->levels_max) {
        return SL_EMSGSIZE;
    }
    /* The old levels stay until nothing can fail any more; the blocks that hold them are free then. */
    size_t held = book->bids.slot_count + book->asks.slot_count;
    size_t needed = blocks_for_set(bids) + blocks_for_set(asks);
    SL_TRY(reserve_slots(&book->bids, blocks_for_set(bids)));
    SL_TRY(reserve_slots(&book->asks, blocks_for_set(asks)));
    SL_TRY(reserve_blocks(book, needed > held ? needed - held : 0));
    sl_book_clear(book);
    fill(book, &book->bids, levels->bids, levels->bid_count);
    fill(book, &book->asks, levels->asks, levels->ask_count);
    return 0;
}

/* The worst levels stand at the front. */
static void side_cut(sl_book *book, struct side *side, size_t depth)
{
    while (side->level_count > depth) {
        struct slot *slot = &side->slots[0];
        sl_level *levels = slot->block->levels;
        size_t excess = side->level_count - depth;
        if (excess >= slot->count) {
            side->level_count -= slot->count;
            remove_slot(book, side, 0);
        } else {
            slot->count -= (uint32_t)excess;
            side->level_count -= excess;
            memmove(levels, levels + excess, slot->count * sizeof(levels[0]));
            slot->first = levels[0].price;
        }
    }
}

void sl_book_cut(sl_book *book, size_t depth)
{
    side_cut(book, &book->bids, depth);
    side_cut(book, &book->asks, depth);
}

int sl_book_new(size_t levels_max, sl_book **ret_book)
{
    if (levels_max > SL_BOOK_LEVELS_MAX) {
        return SL_EINVAL;
    }
    sl_book *book = sl_calloc(1, sizeof(*book));
    if (book == NULL) {
        return SL_ENOMEM;
    }
    book->bids = (struct side){.sign = 1, .slots = book->bids.few, .slot_capacity = SLOTS_FEW};
    book->asks = (struct side){.sign = -1, .slots = book->asks.few, .slot_capacity = SLOTS_FEW};
    book->levels_max = levels_max == 0 ? SL_BOOK_LEVELS_DEFAULT : levels_max;
    *ret_book = book;
    return 0;
}

static void free_slots(struct side *side)
{
    if (side->slots != side->few) {
        sl_free(side->slots);
    }
}

void sl_book_free(sl_book *book)
{
    if (book == NULL) {
        return;
    }
    while (book->slabs != NULL) {
        struct slab *slab = book->slabs;
        book->slabs = slab->next;
        sl_free(slab);
    }
    free_slots(&book->bids);
    free_slots(&book->asks);
    sl_free(book);
}

void sl_book_clear(sl_book *book)
{
    side_clear(book, &book->bids);
    side_clear(book, &book->asks);
}

const sl_level *sl_book_best(const sl_book *book, sl_side side)
{
    const struct side *levels = side_of(book, side);
    if (levels->slot_count == 0) {
        return NULL;
    }
    const struct slot *slot = &levels->slots[levels->slot_count - 1];
    return &slot->block->levels[slot->count - 1];
}

size_t sl_book_count(const sl_book *book, sl_side side)
{
    return side_of(book, side)->level_count;
}

const sl_decimal *sl_book_find(const sl_book *book, sl_side side, sl_decimal price)
{
    const struct side *levels = side_of(book, side);
    if (levels->slot_count == 0) {
        return NULL;
    }
    const struct slot *slot = &levels->slots[find_slot(levels, price)];
    size_t at = find_level(levels, slot, price);
    return is_price_at(slot, at, price) ? &slot->block->levels[at].quantity : NULL;
}

bool sl_book_crossed(const sl_book *book)
{
    const sl_level *bid = sl_book_best(book, SL_SIDE_BUY);
    const sl_level *ask = sl_book_best(book, SL_SIDE_SELL);
    return bid != NULL && ask != NULL && sl_decimal_compare(bid->price, ask->price) >= 0;
}

sl_book_cursor sl_book_first(const sl_book *book, sl_side side)
{
    const struct side *levels = side_of(book, side);
    size_t blocks = levels->slot_count;
    return (sl_book_cursor){book, side, blocks, blocks == 0 ? 0 : levels->slots[blocks - 1].count};
}

const sl_level *sl_book_next(sl_book_cursor *cursor)
{
    const struct side *side = side_of(cursor->book, cursor->side);
    if (cursor->level == 0) {
        if (cursor->block <= 1) {
            return NULL;
        }
        cursor->block--;
        cursor->level = side->slots[cursor->block - 1].count;
    }
    cursor->level--;
    return &side->slots[cursor->block - 1].block->levels[cursor->level];
}

static int verify_side(const struct side *side)
{
    size_t count = 0;
    const sl_level *previous = NULL;
    for (size_t at_slot = 0; at_slot < side->slot_count; at_slot++) {
        const struct slot *slot = &side->slots[at_slot];
        if (slot->count == 0 || slot->count > BLOCK_LEVELS ||
            !sl_decimal_equal(slot->first, slot->block->levels[0].price)) {
            return SL_EINTERNAL;
        }
        for (size_t at = 0; at < slot->count; at++) {
            const sl_level *level = &slot->block->levels[at];
            if (level->quantity.mantissa <= 0 ||
                (previous != NULL && compare(side, level->price, previous->price) <= 0)) {
                return SL_EINTERNAL;
            }
            previous = level;
        }
        count += slot->count;
    }
    return count == side->level_count ? 0 : SL_EINTERNAL;
}

int sl_book_verify(const sl_book *book)
{
    SL_TRY(verify_side(&book->bids));
    return verify_side(&book->asks);
}
