// Package audit keeps the record of every attempt, session, lease, change and
// call, in files that show any later alteration to whoever has the key.
//
// # Files
//
// A directory holds segments, named NODE-EPOCH-NUMBER.jsonl: the node, its epoch
// (raised at every start) and the number of the segment in that epoch. A line is
//
//	{"mac":"64 hex digits","record":{...}}
//
// where mac is HMAC-SHA256 under the key, over the mac of the line before (32
// zero bytes at the start of an epoch) and the bytes of the record as they stand.
// The chain runs through all segments of an epoch. The first record of a segment
// names the head it continues from: file, sequence number, mac, and where that
// file's last record ended; for the first segment of an epoch that is the head
// of the node's epoch before. So neither a record nor a whole file can be taken
// away unnoticed, except at the very end; for that there are checkpoints: a Head
// that was kept elsewhere and is given to Verify.
//
// # Begin and end
//
// Some things are recorded before they happen and again when their outcome is
// known: call.begin and call.end, lease.login and lease.login.end, lease.logout
// and lease.logout.end, session.start and attempt, joined by Ref. After a crash
// the next epoch closes a call with the outcome "unknown"; the others are handed
// to those who alone know what became of them (Pending).
//
// The first record of a segment is followed by the begins that were still open
// (marked carried), so that a start reads one segment and not a whole epoch.
package audit
