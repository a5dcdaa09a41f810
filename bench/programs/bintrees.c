// SPDX-License-Identifier: GPL-2.0-only
/* Binary trees: many small allocations, pointers followed, recursion. */
#include <stdio.h>
#include <stdlib.h>

#define DEPTH	15
#define TREES	400

struct tree {
	struct tree *left, *right;
};

static struct tree *grow(int depth)
{
	struct tree *tree = calloc(1, sizeof(*tree));

	if (!tree)
		abort();
	if (depth) {
		tree->left = grow(depth - 1);
		tree->right = grow(depth - 1);
	}
	return tree;
}

static int count(const struct tree *tree)
{
	return tree ? 1 + count(tree->left) + count(tree->right) : 0;
}

static void fell(struct tree *tree)
{
	if (!tree)
		return;
	fell(tree->left);
	fell(tree->right);
	free(tree);
}

int main(void)
{
	int sum = 0;

	for (int i = 0; i < TREES; i++) {
		struct tree *tree = grow(DEPTH - i % 2);

		sum += count(tree);
		fell(tree);
	}
	printf("%d\n", sum);
	return 0;
}
