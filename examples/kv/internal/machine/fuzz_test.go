package machine

import (
	"bytes"
	"testing"
)

func FuzzDecode(f *testing.F) {
	f.Add(Put("key", []byte("value")))
	f.Add(Delete("key"))
	f.Add(CompareAndSwap("key", nil, []byte("new")))
	f.Add(CompareAndSwap("key", []byte("old"), nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := decode(data)
		if err != nil {
			return
		}
		var again []byte
		switch c.operation {
		case opPut:
			again = Put(c.key, c.new)
		case opDelete:
			again = Delete(c.key)
		default:
			again = CompareAndSwap(c.key, c.old, c.new)
		}
		d, err := decode(again)
		if err != nil || d.operation != c.operation || d.key != c.key || !bytes.Equal(d.old, c.old) || !bytes.Equal(d.new, c.new) {
			t.Fatalf("%+v became %+v, %v", c, d, err)
		}
	})
}

func FuzzRestore(f *testing.F) {
	source := NewMemory()
	if _, err := source.Apply(f.Context(), script(Put("a", []byte("1")), Put("b", nil))); err != nil {
		f.Fatal(err)
	}
	view, err := source.View()
	if err != nil {
		f.Fatal(err)
	}
	var good bytes.Buffer
	if _, err := view.WriteTo(&good); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		m := NewMemory()
		if m.Restore(t.Context(), bytes.NewReader(data)) != nil {
			return
		}
		again := NewMemory()
		if err := again.Restore(t.Context(), bytes.NewReader(dump(t, m))); err != nil || !bytes.Equal(dump(t, again), dump(t, m)) {
			t.Fatalf("what was restored does not come out again: %v", err)
		}
	})
}
