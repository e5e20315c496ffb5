// The same by Go's own resolver: `gone NAME...`, `gone time COUNT NAME`.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

func lookUp(name string) ([]string, error) {
	resolver := net.Resolver{PreferGo: true}
	found, err := resolver.LookupIPAddr(context.Background(), name)
	var texts []string
	for _, address := range found {
		texts = append(texts, address.String())
	}
	slices.Sort(texts)
	return texts, err
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == "time" {
		count, _ := strconv.Atoi(os.Args[2])
		for range count {
			began := time.Now()
			if _, err := lookUp(os.Args[3]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			fmt.Printf("%.3f\n", time.Since(began).Seconds()*1e3)
		}
		return
	}
	for _, name := range os.Args[1:] {
		texts, err := lookUp(name)
		if err != nil {
			texts = []string{"none"}
		}
		fmt.Println(strings.Join(texts, " "))
	}
}
