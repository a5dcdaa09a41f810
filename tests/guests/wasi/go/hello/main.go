// SPDX-License-Identifier: GPL-2.0-only

// Says hello, prints its arguments, and shows that goroutines, maps and time work.
package main

import (
	"fmt"
	"os"
	"sort"
	"sync"
	"time"
)

func main() {
	fmt.Println("hello, world")
	for i, argument := range os.Args[1:] {
		fmt.Printf("argument %d: %s\n", i+1, argument)
	}
	squares := map[int]int{}
	var lock sync.Mutex
	var group sync.WaitGroup
	for i := 0; i < 100; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			time.Sleep(time.Duration(i%3) * time.Millisecond)
			lock.Lock()
			squares[i] = i * i
			lock.Unlock()
		}(i)
	}
	group.Wait()
	keys := []int{}
	for key := range squares {
		keys = append(keys, key)
	}
	sort.Ints(keys)
	sum := 0
	for _, key := range keys {
		sum += squares[key]
	}
	fmt.Println(len(keys), "goroutines, sum", sum)
	if value, there := os.LookupEnv("WJ_STATUS"); there {
		var status int
		fmt.Sscan(value, &status)
		os.Exit(status)
	}
}
