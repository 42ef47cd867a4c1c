package cloud

import (
	"context"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// A change of an item: attributes that are set or added to, and those that go. Names are
// never written as they are: DynamoDB reserves 500 words.
type change struct {
	set, add item
	remove   []string
	// plus sets an attribute to the sum of a number and another attribute.
	plus map[string]sum
	// condition must hold, with its values; it names attributes by #name.
	condition string
	values    item
}

type sum struct {
	number    types.AttributeValue
	attribute string
}

// expression writes a change as DynamoDB wants it.
func (c change) expression() (update string, names map[string]string, values item) {
	names, values = map[string]string{}, item{}
	for name, v := range c.values {
		values[name] = v
	}
	var sets, adds, removes []string
	for name, v := range c.set {
		sets = append(sets, "#"+name+" = :set_"+name)
		names["#"+name], values[":set_"+name] = name, v
	}
	for name, v := range c.plus {
		sets = append(sets, "#"+name+" = :plus_"+name+" + #"+v.attribute)
		names["#"+name], names["#"+v.attribute], values[":plus_"+name] = name, v.attribute, v.number
	}
	for name, v := range c.add {
		adds = append(adds, "#"+name+" :add_"+name)
		names["#"+name], values[":add_"+name] = name, v
	}
	for _, name := range c.remove {
		removes = append(removes, "#"+name)
		names["#"+name] = name
	}
	for _, name := range attributeName.FindAllString(c.condition, -1) {
		names[name] = name[1:]
	}
	for word, list := range map[string][]string{"SET ": sets, " ADD ": adds, " REMOVE ": removes} {
		if len(list) > 0 {
			update += " " + word + strings.Join(list, ", ")
		}
	}
	return update, names, values
}

var attributeName = regexp.MustCompile(`#\w+`)

// update changes an item without a condition.
func (s *Store) update(ctx context.Context, k key, c change) error {
	update, names, values := c.expression()
	_, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: k.item(), UpdateExpression: &update, ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	})
	return Readable("write to DynamoDB", err)
}

// updating is a change as a part of a transaction.
func (s *Store) updating(k key, c change) types.TransactWriteItem {
	update, names, values := c.expression()
	out := &types.Update{TableName: &s.table, Key: k.item(), UpdateExpression: &update, ExpressionAttributeNames: names, ExpressionAttributeValues: values}
	if c.condition != "" {
		out.ConditionExpression = &c.condition
	}
	return types.TransactWriteItem{Update: out}
}
