// SPDX-License-Identifier: MIT

// Go with gorilla/websocket, and net/http:
//
//	ws receive PORT SECONDS [tls]       messages a second, with the dialer that the package gives
//	ws receive64k PORT SECONDS [tls]    the same with a read buffer of 64 KiB in place of its 4 KiB
//	ws echo PORT [CERT KEY]             an echo server
//	ws http PORT                        a server that says hello
package main

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
)

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func receive(port string, lasts time.Duration, secure bool, buffer int) {
	scheme := "ws"
	if secure {
		scheme = "wss"
	}
	dialer := *websocket.DefaultDialer
	dialer.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	dialer.ReadBufferSize = buffer
	conn, _, err := dialer.Dial(scheme+"://127.0.0.1:"+port+"/", nil)
	fail(err)
	count := 0
	since := time.Now()
	for count%64 != 0 || time.Since(since) < lasts {
		_, _, err := conn.ReadMessage()
		fail(err)
		count++
	}
	fmt.Printf("rate %.0f\n", float64(count)/time.Since(since).Seconds())
}

func echo(writer http.ResponseWriter, request *http.Request) {
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := upgrader.Upgrade(writer, request, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		kind, data, err := conn.ReadMessage()
		if err != nil || conn.WriteMessage(kind, data) != nil {
			return
		}
	}
}

func main() {
	address := "127.0.0.1:" + os.Args[2]
	switch os.Args[1] {
	case "receive", "receive64k":
		lasts, err := strconv.ParseFloat(os.Args[3], 64)
		fail(err)
		buffer := 0
		if os.Args[1] == "receive64k" {
			buffer = 65536
		}
		receive(os.Args[2], time.Duration(lasts*float64(time.Second)), len(os.Args) > 4, buffer)
	case "echo":
		http.HandleFunc("/", echo)
		if len(os.Args) > 4 {
			fail(http.ListenAndServeTLS(address, os.Args[3], os.Args[4], nil))
		}
		fail(http.ListenAndServe(address, nil))
	case "http":
		hello := []byte("hello")
		http.HandleFunc("/", func(writer http.ResponseWriter, _ *http.Request) { writer.Write(hello) })
		fail(http.ListenAndServe(address, nil))
	}
}
