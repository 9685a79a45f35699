package policy

import "strings"

// canonical reports whether path is of the kind that rules are written for. The
// family has made it so; this is the second lock on the same door.
func canonical(path string) bool {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok || strings.ContainsAny(path, "\\;?#") {
		return false
	}
	rest = strings.TrimSuffix(rest, "/")
	if rest == "" {
		return path == "/"
	}
	for {
		segment, more, found := strings.Cut(rest, "/")
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
		if !found {
			return true
		}
		rest = more
	}
}

// matchPath matches a path without its slashes at both ends.
func matchPath(pattern []string, path string, fold bool) bool {
	end := path == "" // the path of the root has no segment
	for i, p := range pattern {
		if p == "**" {
			return matchDeep(pattern[i+1:], path, end, fold)
		}
		if end {
			return p == "" // of the pattern "/"
		}
		segment, more, found := strings.Cut(path, "/")
		if !glob(p, segment, fold) {
			return false
		}
		path, end = more, !found
	}
	return end
}

// matchDeep tries the rest of a pattern behind ** at every segment of the path.
func matchDeep(rest []string, path string, end, fold bool) bool {
	if len(rest) == 0 {
		return true
	}
	for !end {
		if matchPath(rest, path, fold) {
			return true
		}
		_, more, found := strings.Cut(path, "/")
		path, end = more, !found
	}
	return rest[0] == "**" && matchPath(rest, "", fold)
}

// matchBelow reports whether pattern, taken in any case, matches path or
// something at most reach segments below it. end says that path has no segment.
func matchBelow(pattern []string, path string, end bool, reach int) bool {
	for i, p := range pattern {
		if end {
			return named(pattern[i:]) <= reach
		}
		if p == "**" {
			for ; !end; path, end = next(path) {
				if matchBelow(pattern[i+1:], path, false, reach) {
					return true
				}
			}
			return named(pattern[i+1:]) <= reach
		}
		segment, _, _ := strings.Cut(path, "/")
		if !glob(p, segment, true) {
			return false
		}
		path, end = next(path)
	}
	return end
}

// named counts the segments of a pattern that stand for one segment each.
func named(pattern []string) int {
	n := 0
	for _, p := range pattern {
		if p != "**" && p != "" {
			n++
		}
	}
	return n
}

// next drops the first segment.
func next(path string) (rest string, end bool) {
	_, rest, found := strings.Cut(path, "/")
	return rest, !found
}

// glob matches s against pattern, in which '*' stands for any text, in time
// bounded by the product of their lengths.
func glob(pattern, s string, fold bool) bool {
	star, retry := -1, 0 // the last '*' in pattern, and where its text ends for now
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, retry = p, i
			p++
		case p < len(pattern) && same(pattern[p], s[i], fold):
			p++
			i++
		case star >= 0:
			retry++
			p, i = star+1, retry
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// same compares two bytes; with fold, ASCII letters in any case.
func same(a, b byte, fold bool) bool {
	if a == b {
		return true
	}
	lower := a | 0x20
	return fold && lower == b|0x20 && 'a' <= lower && lower <= 'z'
}
