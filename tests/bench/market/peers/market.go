// SPDX-License-Identifier: MIT

// Go with gorilla and encoding/json, as its users write it: the default dialer, structs with tags, a map of instruments, books as sorted slices.
// "market trades|depth|books PORT SECONDS INSTRUMENTS". What is done with a message is what market.hpp does: prices and
// quantities exactly, in units of 10^-8, the time of receiving, repeats dropped, gaps counted by each symbol's ids.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
)

// Names are matched in any case, unless one fits exactly: "e" must not be taken for "E".
type trade struct {
	Kind     string `json:"e"`
	Sent     int64  `json:"E"`
	Happened int64  `json:"T"`
	Symbol   string `json:"s"`
	ID       int64  `json:"t"`
	Price    string `json:"p"`
	Quantity string `json:"q"`
	Maker    bool   `json:"m"`
}

type depth struct {
	Data struct {
		Kind     string      `json:"e"`
		Sent     int64       `json:"E"`
		Happened int64       `json:"T"`
		Symbol   string      `json:"s"`
		First    int64       `json:"U"`
		Last     int64       `json:"u"`
		Previous int64       `json:"pu"`
		Bids     [][2]string `json:"b"`
		Asks     [][2]string `json:"a"`
	} `json:"data"`
}

type level struct{ price, quantity int64 }

type instrument struct {
	last       int64
	received   time.Time
	bids, asks []level
}

var (
	instruments = map[string]*instrument{}
	gaps        uint64
	repeated    uint64
	volume      int64
)

func find(symbol string) *instrument {
	one, known := instruments[symbol]
	if !known {
		one = &instrument{}
		instruments[symbol] = one
	}
	return one
}

func number(text string) int64 {
	whole, fraction, _ := strings.Cut(text, ".")
	if len(fraction) > 8 {
		panic("a number: " + text)
	}
	value, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		panic(err)
	}
	places := int64(0)
	if fraction != "" {
		if places, err = strconv.ParseInt(fraction, 10, 64); err != nil {
			panic(err)
		}
	}
	for at := 0; at < 8; at++ {
		value *= 10
		if at >= len(fraction) {
			places *= 10
		}
	}
	return value + places
}

func onTrade(data []byte, now time.Time) {
	var event trade
	if err := json.Unmarshal(data, &event); err != nil {
		panic(err)
	}
	one := find(event.Symbol)
	price, quantity := number(event.Price), number(event.Quantity)
	if one.last != 0 && event.ID <= one.last {
		repeated++
		return
	}
	if one.last != 0 && event.ID != one.last+1 {
		gaps++
	}
	one.last, one.received = event.ID, now
	if event.Maker && event.Sent >= event.Happened && price > 0 {
		volume += quantity
	}
}

func apply(book []level, changes [][2]string, keep bool) []level {
	for _, change := range changes {
		price, quantity := number(change[0]), number(change[1])
		volume += quantity
		if !keep {
			continue
		}
		at := sort.Search(len(book), func(i int) bool { return book[i].price >= price })
		there := at < len(book) && book[at].price == price
		switch {
		case there && quantity == 0:
			book = append(book[:at], book[at+1:]...)
		case there:
			book[at].quantity = quantity
		case quantity != 0:
			book = append(book, level{})
			copy(book[at+1:], book[at:])
			book[at] = level{price, quantity}
		}
	}
	return book
}

func onDepth(data []byte, now time.Time, keep bool) {
	var message depth
	if err := json.Unmarshal(data, &message); err != nil {
		panic(err)
	}
	event := &message.Data
	one := find(event.Symbol)
	if one.last != 0 && event.Last <= one.last {
		repeated++
		return
	}
	if one.last != 0 && event.Previous != one.last {
		gaps++
	}
	one.last, one.received = event.Last, now
	one.bids = apply(one.bids, event.Bids, keep)
	one.asks = apply(one.asks, event.Asks, keep)
	if keep && len(one.bids) > 0 && len(one.asks) > 0 && one.bids[len(one.bids)-1].price >= one.asks[0].price {
		gaps++
	}
}

func busy() float64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) * 1e-9
}

func main() {
	mode := os.Args[1]
	lasts, _ := strconv.ParseFloat(os.Args[3], 64)
	wanted, _ := strconv.Atoi(os.Args[4])
	socket, _, err := websocket.DefaultDialer.Dial("ws://127.0.0.1:"+os.Args[2]+"/", nil)
	if err != nil {
		panic(err)
	}
	began := time.Now()
	var since time.Time
	var busySince float64
	count, from := 0, 0
	for ; ; count++ {
		if count%64 == 0 {
			now := time.Now()
			if since.IsZero() && now.Sub(began).Seconds() > lasts/10 && count >= 2*wanted {
				since, from, busySince = now, count, busy()
			} else if !since.IsZero() && now.Sub(since).Seconds() > lasts {
				break
			}
		}
		_, data, err := socket.ReadMessage()
		if err != nil {
			panic(err)
		}
		now := time.Now()
		if mode == "trades" {
			onTrade(data, now)
		} else {
			onDepth(data, now, mode == "books")
		}
	}
	counted := float64(count - from)
	fmt.Printf("rate %.0f rate_cpu %.0f gaps %d volume %d\n", counted/time.Since(since).Seconds(),
		counted/(busy()-busySince), gaps+repeated, volume)
}
