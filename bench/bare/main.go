// Command bare is the limit that every admission webhook is measured against: it terminates TLS, reads the body, decodes
// the AdmissionReview as far as its uid, and answers one fixed patch. The pod itself is checked to be JSON and not read.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
)

const fixedPatch = `[{"op":"add","path":"/metadata/labels/bench.habitat.sh~1fixed","value":"true"}]`

type review struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Request    *request  `json:"request,omitempty"`
	Response   *response `json:"response,omitempty"`
}

type request struct {
	UID    string          `json:"uid"`
	Object json.RawMessage `json:"object"`
}

type response struct {
	UID       string `json:"uid"`
	Allowed   bool   `json:"allowed"`
	PatchType string `json:"patchType"`
	Patch     []byte `json:"patch"`
}

func mutate(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "the body could not be read: "+err.Error(), http.StatusBadRequest)
		return
	}
	var asked review
	if err := json.Unmarshal(body, &asked); err != nil || asked.Request == nil {
		http.Error(w, "the body is no AdmissionReview with a request", http.StatusBadRequest)
		return
	}
	answer, err := json.Marshal(review{
		APIVersion: asked.APIVersion,
		Kind:       asked.Kind,
		Response:   &response{UID: asked.Request.UID, Allowed: true, PatchType: "JSONPatch", Patch: []byte(fixedPatch)},
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(answer); err != nil {
		log.Printf("the client went away before its answer: %v", err)
	}
}

func main() {
	certificate := flag.String("cert", "", "certificate chain in PEM")
	key := flag.String("key", "", "key of the certificate in PEM")
	flag.Parse()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening at https://%s/mutate\n", listener.Addr())
	http.HandleFunc("POST /mutate", mutate)
	log.Fatal(http.ServeTLS(listener, nil, *certificate, *key))
}
