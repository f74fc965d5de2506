// Command pstest serves Google's own in-memory Pub/Sub for the tests of license-pubsub.
//
//	pstest [-slow 200ms] TOPIC...
//
// It listens on a free port of 127.0.0.1, creates the topics named as arguments (projects/P/topics/T) and prints
// "host:port". For every line it then reads from its standard input it prints one line: a JSON list of all messages that
// were published so far. When its standard input closes it ends, so it cannot outlive the test that started it.
// With -slow every Publish call takes that long, which tells a publisher that waits from one that does not.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
)

// published is one message as the server holds it; Data travels as base64.
type published struct {
	Topic      string            `json:"topic"`
	Data       []byte            `json:"data"`
	Attributes map[string]string `json:"attributes"`
}

// delay is a reactor that only takes its time and leaves the answer to the server.
type delay time.Duration

// React implements pstest.Reactor.
func (d delay) React(any) (bool, any, error) {
	time.Sleep(time.Duration(d))
	return false, nil, nil
}

func main() {
	slow := flag.Duration("slow", 0, "how long every Publish call takes")
	flag.Parse()

	server := pstest.NewServerWithAddress("127.0.0.1:0",
		pstest.ServerReactorOption{FuncName: "Publish", Reactor: delay(*slow)})
	defer server.Close()
	for _, topic := range flag.Args() {
		if _, err := server.GServer.CreateTopic(context.Background(), &pubsubpb.Topic{Name: topic}); err != nil {
			log.Fatalf("creating %s: %v", topic, err)
		}
	}
	fmt.Println(server.Addr)

	answers := json.NewEncoder(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		list := []published{}
		for _, m := range server.Messages() {
			list = append(list, published{Topic: m.Topic, Data: m.Data, Attributes: m.Attributes})
		}
		if err := answers.Encode(list); err != nil {
			log.Fatalf("answering: %v", err)
		}
	}
}
