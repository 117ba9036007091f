"""A stochastic epidemic in a school of 763, in steps of a quarter of a day. In: seed, beta, gamma. Out: peak, ever ill."""

import math
import random
import sys

for line in sys.stdin:
    seed, beta, gamma = line.split()
    rng, beta, gamma = random.Random(int(seed)), float(beta), float(gamma)
    binomial = lambda n, p: sum(rng.random() < p for _ in range(n))
    susceptible, ill, peak = 760, 3, 3
    while ill > 0:
        infected = binomial(susceptible, 1 - math.exp(-beta * ill / 763 / 4))
        recovered = binomial(ill, 1 - math.exp(-gamma / 4))
        susceptible, ill = susceptible - infected, ill + infected - recovered
        peak = max(peak, ill)
    print(peak, 763 - susceptible, flush=True)
