package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"regexp"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

//go:embed given.json
var givenText []byte

// What the provider's documentation states and its schema does not: by type, sensitive arguments and rules by path.
type given struct {
	Sensitive map[string][]string
	Rules     map[string]rules
}

// The rules of one type: an argument's path from the resource (with dots; blocks without an index) → what holds there.
type rules map[string]rule

type rule struct {
	Pattern       string
	Kind          string // json or cidr
	From, To      *float64
	ConflictsWith []string `json:"conflicts_with"`
	ExactlyOneOf  []string `json:"exactly_one_of"`
	RequiredWith  []string `json:"required_with"`
}

func readGiven() (out given, err error) {
	err = json.Unmarshal(givenText, &out)
	return out, err
}

// find follows a path; of a block that may repeat, every one counts. known is false where a part of the way cannot be
// seen yet: then nothing is said about how many there are.
func find(v tftypes.Value, path []string) (out []tftypes.Value, known bool) {
	if !v.IsKnown() || v.IsNull() {
		return nil, v.IsKnown()
	}
	var items []tftypes.Value
	if v.Type().Is(tftypes.List{}) || v.Type().Is(tftypes.Set{}) {
		if v.As(&items) != nil {
			return nil, true
		}
		known = true
		for _, item := range items {
			got, sure := find(item, path)
			out, known = append(out, got...), known && sure
		}
		return out, known
	}
	if len(path) == 0 {
		return []tftypes.Value{v}, true
	}
	var fields map[string]tftypes.Value
	if v.As(&fields) != nil {
		return nil, true
	}
	field, there := fields[path[0]]
	if !there {
		return nil, true
	}
	return find(field, path[1:])
}

func number(v tftypes.Value) (float64, bool) {
	var f big.Float
	if !v.Type().Is(tftypes.Number) || v.As(&f) != nil {
		return 0, false
	}
	n, _ := f.Float64()
	return n, true
}

// value says what is wrong with one value, or nothing.
func (r rule) value(v tftypes.Value) string {
	var s string
	if n, is := number(v); is && (r.From != nil && n < *r.From || r.To != nil && n > *r.To) {
		return fmt.Sprintf("%v is out of range.", n)
	}
	if v.As(&s) != nil || s == "" {
		return ""
	}
	switch {
	case r.Pattern != "" && !regexp.MustCompile(r.Pattern).MatchString(s):
		return fmt.Sprintf("%q does not match %s.", s, r.Pattern)
	case r.Kind == "json" && !json.Valid([]byte(s)):
		return fmt.Sprintf("%q is no JSON.", s)
	case r.Kind == "cidr":
		if _, _, err := net.ParseCIDR(s); err != nil {
			return fmt.Sprintf("%q is no range of addresses (as in 10.0.0.0/24).", s)
		}
	}
	return ""
}

func (rs rules) check(v tftypes.Value) (out []*tfprotov5.Diagnostic) {
	for _, path := range sortedKeys(rs) {
		steps := strings.Split(path, ".")
		say := func(summary, detail string) {
			at := tftypes.NewAttributePath().WithAttributeName(steps[0])
			out = append(out, problem(summary, path+": "+detail, at))
		}
		mine, _ := find(v, steps)
		for _, one := range mine {
			if why := rs[path].value(one); why != "" {
				say("Value not allowed", why)
			}
		}
		parents, _ := find(v, steps[:len(steps)-1])
		for _, parent := range parents {
			if summary, detail := rs[path].beside(parent, steps[len(steps)-1]); summary != "" {
				say(summary, detail)
			}
		}
	}
	return out
}

// beside compares an argument with others of the same block.
func (r rule) beside(parent tftypes.Value, name string) (summary, detail string) {
	there, known := count(parent, []string{name})
	if !known {
		return "", ""
	}
	if n, sure := count(parent, r.ExactlyOneOf); len(r.ExactlyOneOf) > 0 && sure && n != 1 {
		return "Exactly one is needed", fmt.Sprintf("%d of %s are given.", n, strings.Join(r.ExactlyOneOf, ", "))
	}
	if n, sure := count(parent, r.ConflictsWith); there > 0 && sure && n > 0 {
		return "Conflicting arguments", "Conflicts with " + strings.Join(r.ConflictsWith, ", ") + "."
	}
	if n, sure := count(parent, r.RequiredWith); there > 0 && sure && n < len(r.RequiredWith) {
		return "Argument missing", "Needs all of " + strings.Join(r.RequiredWith, ", ") + "."
	}
	return "", ""
}

// count says how many of the names are given in a block, and whether that can be seen already. A block that may repeat
// and does not is an empty list, which is not given.
func count(parent tftypes.Value, names []string) (n int, sure bool) {
	sure = true
	for _, name := range names {
		var fields map[string]tftypes.Value
		if parent.As(&fields) != nil {
			continue
		}
		var items []tftypes.Value
		field := fields[name]
		switch {
		case !field.IsKnown():
			sure = false
		case field.IsNull():
		case !field.Type().Is(tftypes.List{}) && !field.Type().Is(tftypes.Set{}):
			n++
		case field.As(&items) == nil && len(items) > 0:
			n++
		}
	}
	return n, sure
}
