// SPDX-License-Identifier: GPL-2.0-only
/* An interpreter of a stack machine: one big switch in a loop. */
#include <stdio.h>
#include <stdlib.h>

#define TURNS	16000000

enum { PUSH, ADD, SUBTRACT, MULTIPLY, COPY, JUMP_IF, LOAD, STORE, LESS, CALL, RETURN, HALT };

struct machine {
	int stack[256], memory[16], calls[64];
	int depth;
	long steps;
};

static __attribute__((noinline)) void fail(int op)
{
	printf("bad instruction %d\n", op);
	exit(1);
}

static int run(struct machine *m, const int *code)
{
	int *sp = m->stack, pc = 0, to;

	for (;;) {
		int op = code[pc++];

		m->steps++;
		switch (op) {
		case PUSH:
			*sp++ = code[pc++];
			break;
		case ADD:
			sp--;
			sp[-1] = (int)((unsigned int)sp[-1] + (unsigned int)sp[0]);
			break;
		case SUBTRACT:
			sp--;
			sp[-1] = (int)((unsigned int)sp[-1] - (unsigned int)sp[0]);
			break;
		case MULTIPLY:
			sp--;
			sp[-1] = (int)((unsigned int)sp[-1] * (unsigned int)sp[0]);
			break;
		case COPY:
			sp[0] = sp[-1];
			sp++;
			break;
		case JUMP_IF:
			to = code[pc++];
			if (*--sp)
				pc = to;
			break;
		case LOAD:
			*sp++ = m->memory[code[pc++]];
			break;
		case STORE:
			m->memory[code[pc++]] = *--sp;
			break;
		case LESS:
			sp--;
			sp[-1] = sp[-1] < sp[0];
			break;
		case CALL:
			if (m->depth == 64)
				fail(op);
			m->calls[m->depth++] = pc + 1;
			pc = code[pc];
			break;
		case RETURN:
			pc = m->calls[--m->depth];
			break;
		case HALT:
			return sp[-1];
		default:
			fail(op);
		}
	}
}

int main(void)
{
	static struct machine m;
	static const int code[] = {
		/* sum = 0; i = 0 */
		PUSH, 0, STORE, 0, PUSH, 0, STORE, 1,
		/* 8: sum = function(3 * sum); i = i + 1; again while i < TURNS */
		LOAD, 0, PUSH, 3, MULTIPLY, CALL, 33, STORE, 0,
		LOAD, 1, PUSH, 1, ADD, COPY, STORE, 1, PUSH, TURNS, LESS, JUMP_IF, 8,
		/* 30 */ LOAD, 0, HALT,
		/* 33: function(x) = x + i - 7 */
		LOAD, 1, ADD, PUSH, 7, SUBTRACT, RETURN,
	};
	int sum = run(&m, code);

	printf("%d %ld\n", sum, m.steps);
	return 0;
}
