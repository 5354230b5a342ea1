package core

import "fmt"

// acceptsIdentity carries out rules 17 and 18: who is not who the message is
// for, or belongs to another cluster, does not take part. The sender is told by
// name.
func (e *Engine) acceptsIdentity(m Message, h *Header) bool {
	if _, refusal := m.(*Refusal); refusal {
		return h.To == e.cfg.Self
	}
	if !h.Cluster.IsZero() && !e.hard.Cluster.IsZero() && h.Cluster != e.hard.Cluster {
		e.notice(Notice{Kind: NoticeOtherCluster, Peer: h.From, Text: fmt.Sprintf("cluster %v, not %v", h.Cluster, e.hard.Cluster)})
		e.refuse(m, h, &Refusal{Reason: RefusedCluster})
		return false
	}
	if h.To != e.cfg.Self {
		_, identify := m.(*IdentifyRequest)
		if h.To.Incarnation == 0 {
			return identify
		}
		if _, member := e.configs.member(e.cfg.Self, e.commit); !member {
			e.unknownToGroup = true
			e.notice(Notice{Kind: NoticeUnknownToGroup, Peer: h.From, Known: h.To})
		}
		e.refuse(m, h, &Refusal{Reason: RefusedIncarnation, Known: e.cfg.Self})
		return false
	}
	return true
}

// refuse answers a request that was not accepted; responses are just dropped.
func (e *Engine) refuse(m Message, h *Header, r *Refusal) {
	if m.Response() {
		return
	}
	r.Header = e.head(h.From)
	e.out.send(r)
}

func (e *Engine) onRefusal(m *Refusal) {
	switch m.Reason {
	case RefusedIncarnation:
		for _, known := range e.configs.latest().Configuration.Incarnations(m.From.ID) {
			if known != m.From {
				e.notice(Notice{Kind: NoticeLostData, Peer: m.From, Known: known})
				if p := e.office.peer(known); p != nil {
					p.lostData = true
				}
			}
		}
	case RefusedUnknownMember:
		if _, member := e.configs.member(e.cfg.Self, e.commit); !member {
			e.unknownToGroup = true
			e.notice(Notice{Kind: NoticeUnknownToGroup, Peer: m.From, Known: m.Known})
		}
	case RefusedCluster:
		e.notice(Notice{Kind: NoticeOtherCluster, Peer: m.From, Text: "it says that this node is of another cluster"})
	}
}

// adoptCluster carries out rule 17: an empty group takes the cluster's id from a
// stream that names its incarnation. The id is part of the hard state, which is
// durable before any answer that depends on it.
func (e *Engine) adoptCluster(cluster ClusterID) {
	if e.hard.Cluster.IsZero() && !cluster.IsZero() {
		e.hard.Cluster = cluster
		e.hardDirty = true
	}
	e.unknownToGroup = false
}
