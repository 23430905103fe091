/* SPDX-License-Identifier: MIT */
/* Stack switch for aarch64, AAPCS64: x19 to x30 and d8 to d15 go on the stack, the stack pointer is exchanged. */
    .text
    .globl sl__context_swap
    .hidden sl__context_swap
    .type sl__context_swap, %function
    .p2align 4
/* void sl__context_swap(void **save_stack_pointer, void *load_stack_pointer) */
sl__context_swap:
    .cfi_startproc
    hint #34 /* bti c */
    sub sp, sp, #160
    .cfi_adjust_cfa_offset 160
    stp x29, x30, [sp, #0]
    .cfi_rel_offset x29, 0
    .cfi_rel_offset x30, 8
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
    stp x25, x26, [sp, #64]
    stp x27, x28, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x29, x30, [sp, #0]
    ldp x19, x20, [sp, #16]
    ldp x21, x22, [sp, #32]
    ldp x23, x24, [sp, #48]
    ldp x25, x26, [sp, #64]
    ldp x27, x28, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    .cfi_adjust_cfa_offset -160
    .cfi_restore x29
    .cfi_restore x30
    ret
    .cfi_endproc
    .size sl__context_swap, . - sl__context_swap

    .globl sl__context_start
    .hidden sl__context_start
    .type sl__context_start, %function
    .p2align 4
/* First code on a new stack: x19 holds the entry, x20 its argument; the outermost frame for debuggers. */
sl__context_start:
    .cfi_startproc
    .cfi_undefined x30
    hint #36 /* bti j */
    mov x0, x20
    mov x29, xzr
    mov x30, xzr
    blr x19
    brk #1
    .cfi_endproc
    .size sl__context_start, . - sl__context_start

    .section .note.GNU-stack, "", %progbits
