package main

import (
	"slices"
	"time"
)

// timing summarises latencies, in microseconds.
type timing struct {
	Requests int     `json:"requests"`
	P50      float64 `json:"p50_us"`
	P99      float64 `json:"p99_us"`
	Max      float64 `json:"max_us"`
}

// tally is what one client, or all of them, saw in one phase; latencies are by target.
type tally struct {
	latencies  [][]time.Duration
	problems   []error
	reconnects int
}

func (t *tally) add(other *tally) {
	if t.latencies == nil {
		t.latencies = make([][]time.Duration, len(other.latencies))
	}
	for i, more := range other.latencies {
		t.latencies[i] = append(t.latencies[i], more...)
	}
	t.problems = append(t.problems, other.problems...)
	t.reconnects += other.reconnects
}

func (t *tally) result(elapsed time.Duration, targets []rendered) result {
	found := result{
		Seconds:    elapsed.Seconds(),
		Errors:     len(t.problems),
		Reconnects: t.reconnects,
		Targets:    map[string]timing{},
	}
	if len(t.problems) > 0 {
		found.FirstError = t.problems[0].Error()
	}
	var all []time.Duration
	for i, one := range t.latencies {
		found.Targets[targets[i].name] = summarise(one)
		all = append(all, one...)
	}
	found.All = summarise(all)
	found.Requests = len(all)
	return found
}

func summarise(latencies []time.Duration) timing {
	if len(latencies) == 0 {
		return timing{}
	}
	slices.Sort(latencies)
	return timing{
		Requests: len(latencies),
		P50:      microseconds(percentile(latencies, 50)),
		P99:      microseconds(percentile(latencies, 99)),
		Max:      microseconds(latencies[len(latencies)-1]),
	}
}

// percentile of sorted latencies, by the nearest-rank method.
func percentile(sorted []time.Duration, p int) time.Duration {
	rank := (len(sorted)*p + 99) / 100
	return sorted[max(rank, 1)-1]
}

func microseconds(d time.Duration) float64 {
	return float64(d.Nanoseconds()) / 1000
}
