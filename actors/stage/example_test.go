package stage_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/trouperaft/troupe/actors/stage"
)

// line is what a journal is given; written is called exactly once.
type line struct {
	text    string
	written func(error)
}

// journal appends lines to a writer.
//
//	OWNS      the writer
//	RECEIVES  lines
//	SENDS     to each line whether it was written
//	WAITS ON  the writer
//	BOUND     as many lines as its clients let wait
//	DIES WITH its first failed write
type journal struct {
	stage.Shell
	inbox stage.Inbox[line]
	out   io.Writer
	ended chan struct{}

	round []line // being written
	err   error  // of the last write
}

const callWrite stage.Kind = 1

var errClosed = errors.New("the journal is closed")

func startJournal(env stage.Environment, out io.Writer) *journal {
	j := &journal{out: out, ended: make(chan struct{})}
	j.Shell = stage.Shell{
		Env: env, Name: "journal",
		Next: j.next, Closing: j.closing, Failed: j.failed, Ended: j.end,
	}
	j.inbox.Wake = j.Wake
	j.Start()
	return j
}

// Append may be called by anybody, and does not block.
func (j *journal) Append(l line) {
	if !j.inbox.Put(l, true) {
		l.written(errClosed)
	}
}

// next writes whatever piled up while the last lines were being written.
func (j *journal) next() bool {
	if j.round = j.inbox.Take(); len(j.round) > 0 {
		j.Do(callWrite, j.write, j.settle)
	}
	return false // what comes meanwhile wakes it
}

func (j *journal) write() {
	var text bytes.Buffer
	for _, l := range j.round {
		text.WriteString(l.text + "\n")
	}
	_, j.err = text.WriteTo(j.out)
}

func (j *journal) settle() {
	if j.err != nil {
		j.Fail(j.err)
		return
	}
	j.answer(nil)
}

func (j *journal) answer(err error) {
	for _, l := range j.round {
		l.written(err)
	}
	j.round = nil
}

// failed takes an error of the writer, or a panic.
func (j *journal) failed(cause error) {
	j.answer(cause)
	j.Stop()
}

func (j *journal) closing() {
	for _, l := range j.inbox.Close() {
		l.written(errClosed)
	}
}

// end comes when no write is under way any more. One that was, when the journal
// closed, has not been settled.
func (j *journal) end() {
	j.answer(errClosed)
	close(j.ended)
}

// A little actor from its beginning to its end.
func Example() {
	var out bytes.Buffer
	j := startJournal(stage.Production(), &out)

	var waiting sync.WaitGroup
	for _, text := range []string{"all the world's a stage", "and all the men and women merely players"} {
		waiting.Add(1)
		j.Append(line{text, func(err error) {
			if err != nil {
				fmt.Println(err)
			}
			waiting.Done()
		}})
	}
	waiting.Wait()

	j.Stop()
	<-j.ended
	j.Append(line{"they have their exits", func(err error) { fmt.Println(err) }})
	fmt.Print(out.String())
	// Output:
	// the journal is closed
	// all the world's a stage
	// and all the men and women merely players
}
