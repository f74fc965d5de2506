package main

import (
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// What a configuration may say, as google-schema.json holds it.
type (
	attribute struct {
		Type                                    json.RawMessage
		Required, Optional, Computed, Sensitive bool
		WriteOnly                               bool     `json:"write_only"`
		OneOf                                   []string `json:"one_of"`
	}
	nestedBlock struct {
		NestingMode string `json:"nesting_mode"`
		MinItems    int64  `json:"min_items"`
		MaxItems    int64  `json:"max_items"`
		Block       block
	}
	block struct {
		Attributes map[string]attribute
		BlockTypes map[string]nestedBlock `json:"block_types"`
	}
	schema struct {
		Version int64
		Block   block
	}
	schemas struct {
		Provider  schema
		Resources map[string]schema `json:"resource_schemas"`
		Data      map[string]schema `json:"data_source_schemas"`
	}
)

var nestingModes = map[string]tfprotov5.SchemaNestedBlockNestingMode{
	"single": tfprotov5.SchemaNestedBlockNestingModeSingle,
	"list":   tfprotov5.SchemaNestedBlockNestingModeList,
	"set":    tfprotov5.SchemaNestedBlockNestingModeSet,
	"map":    tfprotov5.SchemaNestedBlockNestingModeMap,
}

func sortedKeys[V any](of map[string]V) []string {
	return slices.Sorted(maps.Keys(of))
}

func (b block) proto() *tfprotov5.SchemaBlock {
	out := &tfprotov5.SchemaBlock{}
	for _, name := range sortedKeys(b.Attributes) {
		a := b.Attributes[name]
		kind, err := tftypes.ParseJSONType(a.Type) //nolint:staticcheck // the protocol's own form of a type
		if err != nil {
			log.Fatalf("The type of %s cannot be read: %v", name, err)
		}
		out.Attributes = append(out.Attributes, &tfprotov5.SchemaAttribute{
			Name: name, Type: kind, Required: a.Required, Optional: a.Optional, Computed: a.Computed,
			Sensitive: a.Sensitive, WriteOnly: a.WriteOnly,
		})
	}
	for _, name := range sortedKeys(b.BlockTypes) {
		n := b.BlockTypes[name]
		out.BlockTypes = append(out.BlockTypes, &tfprotov5.SchemaNestedBlock{
			TypeName: name, Block: n.Block.proto(), Nesting: nestingModes[n.NestingMode],
			MinItems: n.MinItems, MaxItems: n.MaxItems,
		})
	}
	return out
}

func (s schema) proto() *tfprotov5.Schema {
	return &tfprotov5.Schema{Version: s.Version, Block: s.Block.proto()}
}

// markSensitive marks arguments, given as type → paths with dots. Types that this provider does not serve are passed
// over; an argument that a type does not have is a mistake in given.json.
func (s schemas) markSensitive(paths map[string][]string) error {
	for kind, all := range paths {
		resource, known := s.Resources[kind]
		if !known {
			continue
		}
		for _, path := range all {
			if !resource.Block.markSensitive(strings.Split(path, ".")) {
				return fmt.Errorf("given.json marks %s.%s, and there is no such argument", kind, path)
			}
		}
	}
	return nil
}

func (b block) markSensitive(path []string) bool {
	if len(path) > 1 {
		inner, known := b.BlockTypes[path[0]]
		return known && inner.Block.markSensitive(path[1:])
	}
	a, known := b.Attributes[path[0]]
	if known {
		a.Sensitive = true
		b.Attributes[path[0]] = a
	}
	return known
}
