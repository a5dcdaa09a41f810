// SPDX-License-Identifier: GPL-2.0-only
/* Five bodies that attract each other: doubles in structures, square roots. */
#include <math.h>
#include <stdio.h>

#define BODIES	5
#define STEPS	6000000

struct body {
	double x, y, z, vx, vy, vz, mass;
};

static struct body bodies[BODIES] = {
	{ 0, 0, 0, 0, 0, 0, 39.47 },
	{ 4.84, -1.16, -0.10, 0.6, 2.8, -0.02, 0.037 },
	{ 8.34, 4.12, -0.4, -1.01, 1.8, 0.008, 0.011 },
	{ 12.8, -15.1, -0.22, 1.08, 0.86, -0.01, 0.0017 },
	{ 15.3, -25.9, 0.17, 0.97, 0.59, -0.03, 0.002 },
};

static void attract(struct body *a, struct body *b, double step)
{
	double x = a->x - b->x, y = a->y - b->y, z = a->z - b->z;
	double square = x * x + y * y + z * z, force = step / (square * sqrt(square));

	a->vx -= x * b->mass * force;
	a->vy -= y * b->mass * force;
	a->vz -= z * b->mass * force;
	b->vx += x * a->mass * force;
	b->vy += y * a->mass * force;
	b->vz += z * a->mass * force;
}

int main(void)
{
	for (int i = 0; i < STEPS; i++) {
		for (int a = 0; a < BODIES; a++)
			for (int b = a + 1; b < BODIES; b++)
				attract(&bodies[a], &bodies[b], 0.01);
		for (int a = 0; a < BODIES; a++) {
			bodies[a].x += 0.01 * bodies[a].vx;
			bodies[a].y += 0.01 * bodies[a].vy;
			bodies[a].z += 0.01 * bodies[a].vz;
		}
	}
	printf("%.6f\n", bodies[0].x + bodies[1].y);
	return 0;
}
