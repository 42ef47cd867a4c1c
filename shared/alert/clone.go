package alert

import (
	"maps"
	"slices"
)

// clone copies everything that a decision may change.
func (s State) clone() State {
	s.Instances = maps.Clone(s.Instances)
	for id, instance := range s.Instances {
		s.Instances[id] = instance.clone()
	}
	s.ErrorEpisode = s.ErrorEpisode.clone()
	s.Umbrella = s.Umbrella.clone()
	s.Silences = slices.Clone(s.Silences)
	s.Targets = maps.Clone(s.Targets)
	s.Chain = maps.Clone(s.Chain)
	return s
}

func (i *Instance) clone() *Instance {
	c := *i
	c.Episode = i.Episode.clone()
	c.Chain = maps.Clone(i.Chain)
	return &c
}

func (e *Episode) clone() *Episode {
	if e == nil {
		return nil
	}
	c := *e
	c.Steps = slices.Clone(e.Steps)
	c.Told = slices.Clone(e.Told)
	return &c
}

func (o Outage) clone() Outage {
	o.Episode = o.Episode.clone()
	o.Targets = maps.Clone(o.Targets)
	o.Chain = maps.Clone(o.Chain)
	return o
}

// set puts a value into a map that may be nil.
func set[V any](m map[string]V, key string, value V) map[string]V {
	if m == nil {
		m = map[string]V{}
	}
	m[key] = value
	return m
}
