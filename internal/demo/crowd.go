package demo

import (
	"context"
	"sync"
	"time"

	"github.com/postern/postern/auth"
)

// A crowd says who comes, and when. It is the same at every door.
type crowd struct {
	clients int
	ramp    time.Duration // in which the good ones arrive, one after the other
	job     time.Duration // when those with a dead password are started
	limit   time.Duration // after which those that are left die
	patience
}

// A patience is how often a client comes when it is told that there is no place.
type patience struct {
	tries int
	pause time.Duration // between two
}

// One in ten is of a job that nobody told the new password: its processes are
// started together, as a scheduler does, while the others are at work. One in
// twelve of the rest dies before it logs out; the second to come is the first
// of them.
const (
	deadOneIn  = 10
	dyingOneIn = 12
	firstDying = 1
)

func (c crowd) dead() int { return c.clients / deadOneIn }
func (c crowd) good() int { return c.clients - c.dead() }

// storm sends the crowd to the door and returns when all are through or limit
// is over. What it counts goes to y while it runs.
func (c crowd) storm(ctx context.Context, d door, right, dead auth.Secret, y *tally) {
	ctx, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	var wg sync.WaitGroup
	for i := range c.good() {
		wg.Go(func() {
			at := c.ramp * time.Duration(i) / time.Duration(c.good())
			y.over(arrive(ctx, at, newClient(d, right, i%dyingOneIn == firstDying, c.patience, y)), true)
		})
	}
	for range c.dead() {
		wg.Go(func() {
			y.over(arrive(ctx, c.job, newClient(d, dead, false, c.patience, y)), false)
		})
	}
	wg.Wait()
}

func arrive(ctx context.Context, after time.Duration, c *client) end {
	select {
	case <-time.After(after):
		return c.run(ctx)
	case <-ctx.Done():
		return timedOut
	}
}
