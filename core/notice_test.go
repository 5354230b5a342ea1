package core

import "testing"

func TestNoticeKinds(t *testing.T) {
	names := make(map[string]bool)
	for kind := NoticeElectionStarted; kind < noticeKindsEnd; kind++ {
		if name := kind.String(); name == "" || names[name] {
			t.Errorf("kind %d is called %q", kind, name)
		} else {
			names[name] = true
		}
	}
	if got := NoticeKind(0).String(); got != "unknown notice" || NoticeKind(200).String() != got {
		t.Errorf("what is no kind is called %q", got)
	}
	n := Notice{Kind: NoticeLostData, Peer: Identity{ID: 2, Incarnation: 10}, Known: Identity{ID: 2, Incarnation: 9}, Term: 3, Index: 4, Text: "why"}
	if got, want := n.String(), "a member has lost its data, term 3, peer 2/a, known 2/9, index 4: why"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := (Notice{Kind: NoticeElected, Term: 3}).String(); got != "elected, term 3" {
		t.Errorf("%q", got)
	}
}
