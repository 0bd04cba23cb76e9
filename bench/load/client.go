package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// An answer that takes longer is an error: the API server gives up earlier.
const patience = 30 * time.Second

// After so many errors of one client nothing is learnt from more.
const maxErrors = 20

// work is what the clients of one phase share.
type work struct {
	taken    atomic.Int64
	requests int64
	deadline time.Time
}

// rendered is a target with its requests as they go over the wire: head and body, written at once.
type rendered struct {
	name     string
	requests [][]byte
}

// client is one connection. It is used by one goroutine at a time.
type client struct {
	address string
	config  *tls.Config
	status  int
	targets []rendered
	conn    *tls.Conn
	reader  *bufio.Reader
}

func connect(what job) ([]*client, error) {
	config, err := tlsConfig(what)
	if err != nil {
		return nil, err
	}
	targets, err := render(what)
	if err != nil {
		return nil, err
	}
	clients := make([]*client, what.Connections)
	opened := make(chan error, len(clients))
	for i := range clients {
		clients[i] = &client{address: what.Address, config: config, status: what.Status, targets: targets}
		go func() { opened <- clients[i].open() }()
	}
	for range clients {
		if err := <-opened; err != nil {
			return nil, err
		}
	}
	return clients, nil
}

// open connects and sends a first request at once. A server that reads with one blocking thread for each connection
// (gunicorn's gthread) would otherwise wait for it, and never come to the connections that are more than its threads.
func (c *client) open() error {
	if err := c.dial(); err != nil {
		return err
	}
	keep, err := c.ask(c.targets[0].requests[0])
	if err == nil && !keep {
		err = fmt.Errorf("%s closes its connection after one answer; measured is keep-alive", c.address)
	}
	return err
}

func tlsConfig(what job) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if what.CA != "" {
		pem, err := os.ReadFile(what.CA)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", what.CA)
		}
	}
	if what.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(what.Certificate, what.Key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// render writes the head as kube-apiserver does.
func render(what job) ([]rendered, error) {
	targets := make([]rendered, len(what.Targets))
	for i, one := range what.Targets {
		targets[i].name = one.Name
		for _, file := range one.Bodies {
			body, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: habitat-webhook-bench\r\nContent-Length: %d\r\n"+
				"Accept: application/json, */*\r\nContent-Type: application/json\r\n\r\n", one.Path, what.Address, len(body))
			targets[i].requests = append(targets[i].requests, append([]byte(head), body...))
		}
	}
	return targets, nil
}

func (c *client) dial() error {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", c.address, c.config)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", c.address, err)
	}
	c.conn, c.reader = conn, bufio.NewReaderSize(conn, 64*1024)
	return nil
}

// run takes requests from the work that all clients share, until there are none or the time is over.
func (c *client) run(work *work) *tally {
	found := &tally{latencies: make([][]time.Duration, len(c.targets))}
	for len(found.problems) < maxErrors {
		number := work.taken.Add(1) - 1
		started := time.Now()
		if number >= work.requests || started.After(work.deadline) {
			break
		}
		which := int(number % int64(len(c.targets)))
		bodies := c.targets[which].requests
		keep, err := c.ask(bodies[int(number/int64(len(c.targets)))%len(bodies)])
		if err != nil {
			found.problems = append(found.problems, err)
		} else {
			found.latencies[which] = append(found.latencies[which], time.Since(started))
		}
		if !keep {
			found.reconnects++
			c.conn.Close()
			if err := c.dial(); err != nil {
				found.problems = append(found.problems, err)
				break
			}
		}
	}
	return found
}

// ask sends one request and reads its whole answer; whether the connection can be used again.
func (c *client) ask(request []byte) (bool, error) {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return false, err
	}
	if _, err := c.conn.Write(request); err != nil {
		return false, err
	}
	answer, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	if answer.StatusCode == c.status {
		_, err = io.Copy(io.Discard, answer.Body)
		return err == nil && !answer.Close, err
	}
	var text bytes.Buffer
	if _, err := io.Copy(&text, answer.Body); err != nil {
		return false, err
	}
	return !answer.Close, fmt.Errorf("status %d instead of %d: %.300s", answer.StatusCode, c.status, text.String())
}
