// Command load sends HTTP/1.1 requests over TLS keep-alive connections and measures how long their answers take.
//
// It is driven by its standard input, one JSON document a line, and answers each with one line on its standard output:
//
//	a job    -> {"ready": true}   when all connections are open and have had a first answer
//	a phase  -> a result          when the phase has ended
//
// so that the caller can look at the server's CPU time and memory between two phases, without handshakes in the figures.
// The end of its input ends it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"
)

// job says whom to ask, and what.
type job struct {
	Address     string   `json:"address"`     // host:port
	CA          string   `json:"ca"`          // PEM file; "" for the system's own
	Certificate string   `json:"certificate"` // the client's, PEM file; "" for none
	Key         string   `json:"key"`
	Connections int      `json:"connections"`
	Status      int      `json:"status"` // the only one that is no error
	Targets     []target `json:"targets"`
}

// target is one kind of request. Requests go round the targets, and each target's round its bodies.
type target struct {
	Name   string   `json:"name"`
	Path   string   `json:"path"`
	Bodies []string `json:"bodies"` // files
}

// phase ends after Requests, or after Seconds if they pass first.
type phase struct {
	Requests int64   `json:"requests"`
	Seconds  float64 `json:"seconds"`
}

type result struct {
	Seconds    float64           `json:"seconds"`
	Requests   int               `json:"requests"`
	Errors     int               `json:"errors"`
	FirstError string            `json:"first_error"`
	Reconnects int               `json:"reconnects"`
	Targets    map[string]timing `json:"targets"`
	All        timing            `json:"all"`
}

func main() {
	log.SetFlags(0)
	if err := serve(bufio.NewReader(os.Stdin)); err != nil {
		log.Fatalf("load: %v", err)
	}
}

func serve(input *bufio.Reader) error {
	decoder, encoder := json.NewDecoder(input), json.NewEncoder(os.Stdout)
	var what job
	if err := decoder.Decode(&what); err != nil {
		return fmt.Errorf("the first line is no job: %w", err)
	}
	clients, err := connect(what)
	if err != nil {
		return err
	}
	if err := encoder.Encode(map[string]bool{"ready": true}); err != nil {
		return err
	}
	for decoder.More() {
		var next phase
		if err := decoder.Decode(&next); err != nil {
			return fmt.Errorf("a line is no phase: %w", err)
		}
		if err := encoder.Encode(run(clients, next)); err != nil {
			return err
		}
	}
	return nil
}

func run(clients []*client, what phase) result {
	limit := time.Duration(what.Seconds * float64(time.Second))
	started := time.Now()
	work := &work{requests: what.Requests, deadline: started.Add(limit)}
	done := make(chan *tally, len(clients))
	for _, one := range clients {
		go func() { done <- one.run(work) }()
	}
	sum := &tally{}
	for range clients {
		sum.add(<-done)
	}
	return sum.result(time.Since(started), clients[0].targets)
}
