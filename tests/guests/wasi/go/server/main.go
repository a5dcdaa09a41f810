// SPDX-License-Identifier: GPL-2.0-only

// An HTTP server on a socket that it was given: descriptor 3, or $LISTEN_FD.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
)

func main() {
	number := 3
	if text, there := os.LookupEnv("LISTEN_FD"); there {
		number, _ = strconv.Atoi(text)
	}
	listener, err := net.FileListener(os.NewFile(uintptr(number), "listener"))
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/", func(writer http.ResponseWriter, request *http.Request) {
		fmt.Fprintf(writer, "hello from %s\n", request.URL.Path)
	})
	http.HandleFunc("/json", func(writer http.ResponseWriter, request *http.Request) {
		writer.Header().Set("Content-Type", "application/json")
		json.NewEncoder(writer).Encode(map[string]any{"method": request.Method, "query": request.URL.Query()})
	})
	http.HandleFunc("/echo", func(writer http.ResponseWriter, request *http.Request) {
		buffer := make([]byte, 32<<10)
		for {
			n, err := request.Body.Read(buffer)
			writer.Write(buffer[:n])
			if err != nil {
				return
			}
		}
	})
	http.HandleFunc("/quit", func(writer http.ResponseWriter, request *http.Request) { os.Exit(0) })
	log.Fatal(http.Serve(listener, nil))
}
