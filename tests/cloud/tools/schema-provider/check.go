package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// check reports what the schema and the rules say against a configuration.
func check(s schema, r rules, config *tfprotov5.DynamicValue) []*tfprotov5.Diagnostic {
	value, err := config.Unmarshal(s.proto().ValueType())
	if err != nil {
		return refuse(err.Error())
	}
	var out []*tfprotov5.Diagnostic
	s.Block.checkValues(value, tftypes.NewAttributePath(), &out)
	return append(out, r.check(value)...)
}

func problem(summary, detail string, at *tftypes.AttributePath) *tfprotov5.Diagnostic {
	return &tfprotov5.Diagnostic{
		Severity: tfprotov5.DiagnosticSeverityError, Summary: summary, Detail: detail, Attribute: at,
	}
}

// checkValues reports strings outside the values that the schema lists, and values that only the provider decides.
func (b block) checkValues(v tftypes.Value, at *tftypes.AttributePath, out *[]*tfprotov5.Diagnostic) {
	var fields map[string]tftypes.Value
	if !v.IsKnown() || v.IsNull() || v.As(&fields) != nil {
		return
	}
	for _, name := range sortedKeys(b.Attributes) {
		if found := b.Attributes[name].check(name, fields[name], at.WithAttributeName(name)); found != nil {
			*out = append(*out, found)
		}
	}
	for _, name := range sortedKeys(b.BlockTypes) {
		inner, f, path := b.BlockTypes[name], fields[name], at.WithAttributeName(name)
		var items []tftypes.Value
		switch {
		case !f.IsKnown() || f.IsNull():
		case inner.NestingMode == "single":
			inner.Block.checkValues(f, path, out)
		case f.As(&items) == nil:
			for i, item := range items {
				step := path
				if inner.NestingMode == "list" {
					step = path.WithElementKeyInt(i)
				}
				inner.Block.checkValues(item, step, out)
			}
		}
	}
}

func (a attribute) check(name string, v tftypes.Value, at *tftypes.AttributePath) *tfprotov5.Diagnostic {
	if a.Computed && !a.Optional && !v.IsNull() {
		return problem("Value for unconfigurable attribute", fmt.Sprintf("The provider decides %q.", name), at)
	}
	var s string
	if len(a.OneOf) == 0 || !v.IsKnown() || v.IsNull() || v.As(&s) != nil || s == "" || slices.Contains(a.OneOf, s) {
		return nil
	}
	return problem("Value not allowed", fmt.Sprintf("%q is none of %s.", s, strings.Join(a.OneOf, ", ")), at)
}
