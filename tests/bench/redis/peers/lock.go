// SPDX-License-Identifier: MIT

// Lock and unlock as redsync does it for one server: SET NX PX with a random value, a script that deletes it if it is
// still there. lock PORT TASKS SECONDS prints how often a second.
package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomodule/redigo/redis"
)

var unlock = redis.NewScript(1, `
	if redis.call("GET", KEYS[1]) == ARGV[1] then
		return redis.call("DEL", KEYS[1])
	else
		return 0
	end`)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func round(pool *redis.Pool, key string) {
	bytes := make([]byte, 16)
	_, err := rand.Read(bytes)
	check(err)
	value := base64.StdEncoding.EncodeToString(bytes)
	conn := pool.Get()
	reply, err := redis.String(conn.Do("SET", key, value, "NX", "PX", 10000))
	check(err)
	check(conn.Close())
	if reply != "OK" {
		panic("not taken")
	}
	conn = pool.Get()
	gone, err := redis.Int(unlock.Do(conn, key, value))
	check(err)
	check(conn.Close())
	if gone != 1 {
		panic("not ours")
	}
}

func main() {
	tasks, err := strconv.Atoi(os.Args[2])
	check(err)
	seconds, err := strconv.Atoi(os.Args[3])
	check(err)
	pool := &redis.Pool{MaxIdle: tasks, Dial: func() (redis.Conn, error) { return redis.Dial("tcp", "127.0.0.1:"+os.Args[1]) }}
	var done int64
	var group sync.WaitGroup
	begin := time.Now()
	for i := 0; i < tasks; i++ {
		group.Add(1)
		go func(key string) {
			defer group.Done()
			for time.Since(begin) < time.Duration(seconds)*time.Second {
				round(pool, key)
				atomic.AddInt64(&done, 1)
			}
		}(fmt.Sprintf("bench:lock:go:%d", i))
	}
	group.Wait()
	fmt.Printf("lock-%d\t%.0f\n", tasks, float64(done)/time.Since(begin).Seconds())
}
