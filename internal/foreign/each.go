package foreign

// One hands an item on, on the caller's goroutine. after is called last: whole says
// whether hand has returned. If it panics, that ends here.
func One[T any](item T, hand func(T), after func(whole bool)) {
	whole := false
	defer func() {
		if !whole {
			_ = recover()
		}
		after(whole)
	}()
	hand(item)
	whole = true
}

// Each is One for each of the items, in their order. It returns after the last one,
// also if hand ends the goroutine on which it is called.
func Each[T any](items []T, hand func(T), after func(whole bool)) {
	for len(items) > 0 {
		next, over := 0, make(chan struct{})
		go func() {
			defer close(over)
			for next < len(items) {
				next++
				One(items[next-1], hand, after)
			}
		}()
		<-over
		items = items[next:]
	}
}
