// SPDX-License-Identifier: MIT
//
// The Go side of the runtime benchmark: the same figures as bench_sluice.c, written the way a Go
// programmer would write them. Only the standard library. Prints name<TAB>value<TAB>unit[<TAB>note];
// What follows an "@" in a name is a variant ("@P1": GOMAXPROCS=1, "@P2": all of two processors); the
// table shows the best of them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	minimumTime   = 100 * time.Millisecond // of one measurement, by doubling the number of operations
	repetitions   = 3
	groupSize     = 1000    // tasks spawned before they are joined
	bufferSize    = 64      // items
	sleepers      = 10000   // of cancel_join
	timers        = 1000000 // of the timer figures
	timerLead     = 1500 * time.Millisecond
	timerWindow   = 500 * time.Millisecond
	timerPastHold = 20 * time.Millisecond
)

func emit(name string, value float64, unit string, note string) {
	if note == "" {
		fmt.Printf("%s\t%.1f\t%s\n", name, value, unit)
	} else {
		fmt.Printf("%s\t%.1f\t%s\t%s\n", name, value, unit, note)
	}
}

func median(values []float64) float64 {
	sort.Float64s(values)
	return values[len(values)/2]
}

// measure gives the nanoseconds per operation of f, which does n operations and returns the time they took.
func measure(f func(n int) time.Duration) float64 {
	n := 1000
	for f(n) < minimumTime {
		n *= 2
	}
	results := make([]float64, repetitions)
	for i := range results {
		results[i] = float64(f(n)) / float64(n)
	}
	return median(results)
}

// variants runs a figure with one processor and with all of them.
func variants(name string, unit string, note string, f func() float64) {
	all := runtime.NumCPU()
	for _, processors := range []int{1, all} {
		runtime.GOMAXPROCS(processors)
		emit(fmt.Sprintf("%s@P%d", name, processors), f(), unit, note)
		if all == 1 {
			break
		}
	}
	runtime.GOMAXPROCS(all)
}

func oneProcessor(f func()) {
	before := runtime.GOMAXPROCS(1)
	f()
	runtime.GOMAXPROCS(before)
}

type random uint64

func (r *random) next() uint64 { // splitmix64, as in the other programs
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// ---- switch, yield, checkpoint ----

func gosched(n int) time.Duration {
	var wg sync.WaitGroup
	half := n / 2
	wg.Add(2)
	start := time.Now()
	for i := 0; i < 2; i++ {
		go func() {
			defer wg.Done()
			for j := 0; j < half; j++ {
				runtime.Gosched()
			}
		}()
	}
	wg.Wait()
	return time.Since(start)
}

func goschedChecked(ctx context.Context, n int) time.Duration {
	var wg sync.WaitGroup
	half := n / 2
	wg.Add(2)
	start := time.Now()
	for i := 0; i < 2; i++ {
		go func() {
			defer wg.Done()
			done := ctx.Done()
			for j := 0; j < half; j++ {
				runtime.Gosched()
				select {
				case <-done:
					return
				default:
				}
			}
		}()
	}
	wg.Wait()
	return time.Since(start)
}

func figureSwitch() {
	oneProcessor(func() {
		emit("switch", measure(gosched), "ns", "Go has no bare switch: runtime.Gosched between two goroutines, GOMAXPROCS=1")
	})
}

func figureYield() {
	oneProcessor(func() { emit("yield", measure(gosched), "ns", "runtime.Gosched, GOMAXPROCS=1") })
}

func figureCheckpoint() {
	oneProcessor(func() {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		emit("checkpoint", measure(func(n int) time.Duration { return goschedChecked(ctx, n) }), "ns",
			"runtime.Gosched and a look at ctx.Done(), GOMAXPROCS=1")
	})
}

func figureCheckpointDeadline() {
	oneProcessor(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		emit("checkpoint_deadline", measure(func(n int) time.Duration { return goschedChecked(ctx, n) }), "ns",
			"runtime.Gosched and a look at ctx.Done(), GOMAXPROCS=1")
	})
}

// ---- spawn and join ----

func figureSpawnJoin() {
	variants("spawn_join", "ns", "go statement and sync.WaitGroup", func() float64 {
		return measure(func(n int) time.Duration {
			start := time.Now()
			for left := n; left > 0; left -= groupSize {
				var wg sync.WaitGroup
				for i := 0; i < groupSize; i++ {
					wg.Add(1)
					go func() { wg.Done() }()
				}
				wg.Wait()
			}
			return time.Since(start) * time.Duration(n) / time.Duration((n+groupSize-1)/groupSize*groupSize)
		})
	})
}

func figureSpawnJoinOne() {
	variants("spawn_join_one", "ns", "go statement and sync.WaitGroup", func() float64 {
		return measure(func(n int) time.Duration {
			var wg sync.WaitGroup
			start := time.Now()
			for i := 0; i < n; i++ {
				wg.Add(1)
				go func() { wg.Done() }()
				wg.Wait()
			}
			return time.Since(start)
		})
	})
}

// group is golang.org/x/sync/errgroup: the first error is kept and cancels the context.
type group struct {
	wg     sync.WaitGroup
	once   sync.Once
	err    error
	cancel context.CancelFunc
}

func (g *group) start(f func() error) {
	g.wg.Add(1)
	go func() {
		defer g.wg.Done()
		if err := f(); err != nil {
			g.once.Do(func() {
				g.err = err
				g.cancel()
			})
		}
	}()
}

func (g *group) wait() error {
	g.wg.Wait()
	g.cancel()
	return g.err
}

func figureSpawnJoinGroup() {
	variants("spawn_join_group", "ns", "what golang.org/x/sync/errgroup does", func() float64 {
		parent, stop := context.WithCancel(context.Background())
		defer stop()
		return measure(func(n int) time.Duration {
			start := time.Now()
			for left := n; left > 0; left -= groupSize {
				ctx, cancel := context.WithCancel(parent)
				g := &group{cancel: cancel}
				for i := 0; i < groupSize; i++ {
					g.start(func() error { return ctx.Err() })
				}
				if g.wait() != nil {
					panic("a task of the group failed")
				}
			}
			return time.Since(start) * time.Duration(n) / time.Duration((n+groupSize-1)/groupSize*groupSize)
		})
	})
}

// ---- scopes ----

func figureScope() {
	parent, stop := context.WithCancel(context.Background())
	defer stop()
	emit("scope", measure(func(n int) time.Duration {
		start := time.Now()
		for i := 0; i < n; i++ {
			_, cancel := context.WithCancel(parent)
			cancel()
		}
		return time.Since(start)
	}), "ns", "context.WithCancel and cancel()")
}

func figureScopeDeadline() {
	parent, stop := context.WithCancel(context.Background())
	defer stop()
	emit("scope_deadline", measure(func(n int) time.Duration {
		start := time.Now()
		for i := 0; i < n; i++ {
			_, cancel := context.WithTimeout(parent, time.Hour)
			cancel()
		}
		return time.Since(start)
	}), "ns", "context.WithTimeout and cancel()")
}

// ---- channels ----

func roundTrip(capacity int) func(n int) time.Duration {
	return func(n int) time.Duration {
		ping, pong := make(chan uint64, capacity), make(chan uint64, capacity)
		go func() {
			for item := range ping {
				pong <- item
			}
			close(pong)
		}()
		start := time.Now()
		for i := 0; i < n; i++ {
			ping <- uint64(i)
			if <-pong != uint64(i) {
				panic("wrong item")
			}
		}
		elapsed := time.Since(start)
		close(ping)
		return elapsed
	}
}

func oneWay(capacity int) func(n int) time.Duration {
	return func(n int) time.Duration {
		items := make(chan uint64, capacity)
		start := time.Now()
		go func() {
			for i := 0; i < n; i++ {
				items <- uint64(i)
			}
			close(items)
		}()
		expected := uint64(0)
		for item := range items {
			if item != expected {
				panic("wrong item")
			}
			expected++
		}
		return time.Since(start)
	}
}

func figureChannels(name string, run func(capacity int) func(n int) time.Duration, capacity int) func() {
	return func() { variants(name, "ns", "", func() float64 { return measure(run(capacity)) }) }
}

// ---- cancel and join ----

func cancelJoin() float64 {
	results := make([]float64, repetitions)
	for r := range results {
		ctx, cancel := context.WithCancel(context.Background())
		var wg, ready sync.WaitGroup
		wg.Add(sleepers)
		ready.Add(sleepers)
		for i := 0; i < sleepers; i++ {
			go func() {
				defer wg.Done()
				timer := time.NewTimer(time.Hour)
				defer timer.Stop()
				ready.Done()
				select {
				case <-timer.C:
				case <-ctx.Done():
				}
			}()
		}
		ready.Wait()
		time.Sleep(20 * time.Millisecond) // the last of them reach their select
		start := time.Now()
		cancel()
		wg.Wait()
		results[r] = float64(time.Since(start)) / sleepers
	}
	return median(results)
}

func figureCancelJoin() {
	variants("cancel_join", "ns", "select on a timer and ctx.Done()", cancelJoin)
}

// ---- timers ----

// hold keeps the only processor until the clock shows `end`, so that no timer is served meanwhile: the
// wait is not part of the figure. A raw system call is not handed to another thread by the scheduler.
//
//go:nosplit
func hold(end *syscall.Timespec) {
	const clockMonotonic, absolute = 1, 1
	for {
		_, _, errno := syscall.RawSyscall6(syscall.SYS_CLOCK_NANOSLEEP, clockMonotonic, absolute, uintptr(unsafe.Pointer(end)), 0, 0, 0)
		if errno != syscall.EINTR {
			return
		}
	}
}

func monotonic(after time.Duration) *syscall.Timespec {
	const clockMonotonic = 1
	var now syscall.Timespec
	_, _, _ = syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&now)), 0)
	end := syscall.NsecToTimespec(now.Nano() + int64(after))
	return &end
}

// sinceHold is the time since the hold ended. Taking a time.Now() after the hold would be wrong: that
// call is where the scheduler takes the goroutine off the processor and begins to serve the timers.
func sinceHold(end *syscall.Timespec) time.Duration {
	return time.Duration(monotonic(0).Nano() - end.Nano())
}

func timerDelays() []time.Duration {
	delays := make([]time.Duration, timers)
	seed := random(1)
	for i := range delays {
		delays[i] = timerLead + time.Duration(seed.next()%uint64(timerWindow))
	}
	return delays
}

// figureTimer runs twice: AfterFunc starts a goroutine per timer, NewTimer sends on a channel.
func figureTimer() {
	oneProcessor(func() {
		delays := timerDelays()
		end := monotonic(timerLead + timerWindow + timerPastHold)
		armed := make([]*time.Timer, timers)
		start := time.Now()
		for i, delay := range delays {
			armed[i] = time.NewTimer(delay)
		}
		insert := time.Since(start)
		hold(end)
		for _, timer := range armed {
			<-timer.C
		}
		emitTimer("timer@NewTimer", insert, sinceHold(end))

		var left int64 = timers
		done := make(chan struct{})
		fire := func() {
			if atomic.AddInt64(&left, -1) == 0 {
				close(done)
			}
		}
		end = monotonic(timerLead + timerWindow + timerPastHold)
		start = time.Now()
		for i, delay := range delays {
			armed[i] = time.AfterFunc(delay, fire)
		}
		insert = time.Since(start)
		hold(end)
		<-done
		emitTimer("timer@AfterFunc", insert, sinceHold(end))
		runtime.KeepAlive(armed)
	})
}

func emitTimer(name string, insert time.Duration, expire time.Duration) {
	emit(name, float64(insert+expire)/timers, "ns",
		fmt.Sprintf("GOMAXPROCS=1: insert %.0f + expire %.0f", float64(insert)/timers, float64(expire)/timers))
}

func figureSleep() {
	oneProcessor(func() {
		delays := timerDelays()
		var all, armed sync.WaitGroup
		all.Add(timers)
		armed.Add(timers)
		begin := make(chan struct{})
		for i := 0; i < timers; i++ {
			go func(delay time.Duration) {
				<-begin
				armed.Done()
				time.Sleep(delay)
				all.Done()
			}(delays[i])
		}
		time.Sleep(200 * time.Millisecond)
		end := monotonic(timerLead + timerWindow + timerPastHold + time.Second)
		start := time.Now()
		close(begin)
		armed.Wait()
		insert := time.Since(start)
		hold(end)
		all.Wait()
		expire := sinceHold(end)
		emit("sleep", float64(insert+expire)/timers, "ns", fmt.Sprintf("time.Sleep, GOMAXPROCS=1: go to sleep %.0f + wake %.0f", float64(insert)/timers, float64(expire)/timers))
	})
}

func figureDeadlineUpdate() {
	armed := make([]*time.Timer, timers)
	seed := random(1)
	for i := range armed {
		armed[i] = time.AfterFunc(time.Hour+time.Duration(seed.next()%uint64(time.Hour)), func() {})
	}
	emit("deadline_update", measure(func(n int) time.Duration {
		start := time.Now()
		for i := 0; i < n; i++ {
			armed[seed.next()%timers].Reset(time.Hour + time.Duration(seed.next()%uint64(time.Hour)))
		}
		return time.Since(start)
	}), "ns", "Timer.Reset of one among 1 000 000")
}

// ---- restart ----

var errFlaky = errors.New("connection reset")

// supervise runs one child at a time, each with its own context, until one ends well.
func supervise(parent context.Context, child func(ctx context.Context) error) int {
	restarts := 0
	for {
		ctx, cancel := context.WithCancel(parent)
		result := make(chan error, 1)
		go func() {
			defer func() {
				if r := recover(); r != nil {
					result <- fmt.Errorf("panic: %v", r)
				}
			}()
			result <- child(ctx)
		}()
		err := <-result
		cancel()
		if err == nil || parent.Err() != nil {
			return restarts
		}
		restarts++
	}
}

func figureRestart() {
	variants("restart", "ns", "hand-written loop: context, goroutine with recover, result channel", func() float64 {
		return measure(func(n int) time.Duration {
			runs := 0
			start := time.Now()
			supervise(context.Background(), func(context.Context) error {
				runs++
				if runs <= n {
					return errFlaky
				}
				return nil
			})
			return time.Since(start)
		})
	})
}

// ---- live tasks ----

func residentBytes() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseFloat(strings.Fields(string(text))[1], 64)
	return pages * float64(os.Getpagesize())
}

func pageTableBytes() float64 {
	text, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "VmPTE:") {
			kib, _ := strconv.ParseFloat(strings.Fields(line)[1], 64)
			return kib * 1024
		}
	}
	return 0
}

func figureLive(name string, count int) func() {
	return func() {
		ctx, cancel := context.WithCancel(context.Background())
		var all, ready sync.WaitGroup
		debug.FreeOSMemory()
		resident, tables := residentBytes(), pageTableBytes()
		start := time.Now()
		for i := 0; i < count; i++ {
			all.Add(1)
			ready.Add(1)
			go func() {
				defer all.Done()
				ready.Done()
				<-ctx.Done()
			}()
		}
		ready.Wait()
		begun := time.Since(start)
		time.Sleep(100 * time.Millisecond)
		resident, tables = residentBytes()-resident, pageTableBytes()-tables
		start = time.Now()
		cancel()
		all.Wait()
		ended := time.Since(start)
		emit(name+".start", float64(begun)/float64(count), "ns", "")
		emit(name+".bytes", resident/float64(count), "B", "")
		emit(name+".tables", tables/float64(count), "B", "")
		emit(name+".stop", float64(ended)/float64(count), "ns", "")
	}
}

func main() {
	figures := []struct {
		name string
		run  func()
	}{
		{"switch", figureSwitch},
		{"yield", figureYield},
		{"checkpoint", figureCheckpoint},
		{"checkpoint_deadline", figureCheckpointDeadline},
		{"spawn_join", figureSpawnJoin},
		{"spawn_join_one", figureSpawnJoinOne},
		{"spawn_join_group", figureSpawnJoinGroup},
		{"scope", figureScope},
		{"scope_deadline", figureScopeDeadline},
		{"channel_rendezvous", figureChannels("channel_rendezvous", roundTrip, 0)},
		{"channel_buffered", figureChannels("channel_buffered", roundTrip, bufferSize)},
		{"handover_rendezvous", figureChannels("handover_rendezvous", oneWay, 0)},
		{"handover_buffered", figureChannels("handover_buffered", oneWay, bufferSize)},
		{"cancel_join", figureCancelJoin},
		{"timer", figureTimer},
		{"sleep", figureSleep},
		{"deadline_update", figureDeadlineUpdate},
		{"restart", figureRestart},
		{"live_100k", figureLive("live_100k", 100000)},
		{"live_1m", figureLive("live_1m", 1000000)},
	}
	if len(os.Args) == 2 && os.Args[1] == "version" {
		fmt.Println(runtime.Version())
		return
	}
	for _, name := range os.Args[1:] {
		for _, figure := range figures {
			if figure.name == name {
				figure.run()
			}
		}
	}
}
