/* SPDX-License-Identifier: MIT */
/*
 * Stack switch for x86-64, System V ABI: callee-saved registers go on the stack, the stack pointer is
 * exchanged. The control words of x87 and SSE are left alone (see context.h). The object carries no
 * CET property note, so that a program with shadow stacks enabled does not run it by mistake.
 */
    .text
    .globl sl__context_swap
    .hidden sl__context_swap
    .type sl__context_swap, @function
    .p2align 4
/* void sl__context_swap(void **save_stack_pointer, void *load_stack_pointer) */
sl__context_swap:
    .cfi_startproc
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbp, 0
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
    pushq %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r12, 0
    pushq %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r13, 0
    pushq %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r14, 0
    pushq %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r15, 0
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r15
    popq %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r14
    popq %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r13
    popq %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r12
    popq %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbx
    popq %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbp
    /* A plain return keeps the processor's return predictor in step: tasks mostly wait in the same calls. */
    retq
    .cfi_endproc
    .size sl__context_swap, . - sl__context_swap

    .globl sl__context_start
    .hidden sl__context_start
    .type sl__context_start, @function
    .p2align 4
/* First code on a new stack: r12 holds the entry, r13 its argument; the outermost frame for debuggers. */
sl__context_start:
    .cfi_startproc
    .cfi_undefined %rip
    endbr64
    movq %r13, %rdi
    xorl %ebp, %ebp
    callq *%r12
    ud2
    .cfi_endproc
    .size sl__context_start, . - sl__context_start

    .section .note.GNU-stack, "", @progbits
