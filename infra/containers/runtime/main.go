// Command runtime stands in for the aws-lambda-rie of the base image, where that cannot be had: it
// starts a bootstrap, gives it the Runtime API, and takes events over HTTP, one at a time.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

type call struct {
	event  []byte
	answer chan []byte
}

func main() {
	emulator := flag.String("runtime-interface-emulator-address", "0.0.0.0:8080", "where events are taken")
	api := flag.String("runtime-api-address", "127.0.0.1:9001", "where the bootstrap asks for them")
	flag.Parse()
	calls, open := make(chan call), make(chan call, 1)
	go serve(*emulator, func(w http.ResponseWriter, r *http.Request) {
		event, _ := io.ReadAll(r.Body)
		c := call{event, make(chan []byte, 1)}
		select {
		case calls <- c:
		case <-r.Context().Done():
			return
		}
		_, _ = w.Write(<-c.answer)
	})
	go serve(*api, func(w http.ResponseWriter, r *http.Request) { runtimeAPI(w, r, calls, open) })
	bootstrap := exec.CommandContext(context.Background(), flag.Arg(0), flag.Args()[1:]...)
	bootstrap.Env = append(os.Environ(), "AWS_LAMBDA_RUNTIME_API="+*api, "AWS_LAMBDA_FUNCTION_NAME=local")
	bootstrap.Stdout, bootstrap.Stderr = os.Stdout, os.Stderr
	time.Sleep(100 * time.Millisecond) // the servers listen
	fmt.Fprintln(os.Stderr, "runtime: the bootstrap ended:", bootstrap.Run())
	os.Exit(1)
}

func serve(address string, handle http.HandlerFunc) {
	server := &http.Server{Addr: address, Handler: handle, ReadHeaderTimeout: 10 * time.Second}
	fmt.Fprintln(os.Stderr, "runtime:", server.ListenAndServe())
	os.Exit(1)
}

// runtimeAPI is the part of it that a bootstrap uses.
// Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
func runtimeAPI(w http.ResponseWriter, r *http.Request, calls <-chan call, open chan call) {
	if strings.HasSuffix(r.URL.Path, "/invocation/next") {
		select {
		case c := <-calls:
			open <- c
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "local")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(time.Minute).UnixMilli()))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:local")
			_, _ = w.Write(c.event)
		case <-r.Context().Done():
		}
		return
	}
	body, _ := io.ReadAll(r.Body)
	w.WriteHeader(http.StatusAccepted)
	select {
	case c := <-open:
		c.answer <- body
	default: // the bootstrap could not begin, and says why in its log
	}
}
