package cloud

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// ExpiryAttribute is when DynamoDB may remove an item, in seconds since 1970.
const ExpiryAttribute = "expires"

// An Index is a sparse index of the table.
type Index struct {
	Name, Partition, Sort string
	SortIsNumber          bool
	// Attributes are what it carries beside its keys.
	Attributes []string
}

// Indexes are those of the table, whoever makes it.
func Indexes() []Index {
	return []Index{
		{openIndex, "open", "look_at", true, []string{"alert", "target"}},
		{listingIndex, "listed", "listed_at", false, []string{"alert", "channel", "channels", "run_id", "status", "scheduled"}},
	}
}

// CreateTable makes the table where there is no stack that does: beside an emulator, and
// for tests. A table of the same name is left as it is.
func (s *Store) CreateTable(ctx context.Context) error {
	attribute := func(name string, kind types.ScalarAttributeType) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: &name, AttributeType: kind}
	}
	keys := func(hash, sort string) []types.KeySchemaElement {
		return []types.KeySchemaElement{{AttributeName: &hash, KeyType: types.KeyTypeHash}, {AttributeName: &sort, KeyType: types.KeyTypeRange}}
	}
	attributes := []types.AttributeDefinition{attribute("pk", types.ScalarAttributeTypeS), attribute("sk", types.ScalarAttributeTypeS)}
	var indexes []types.GlobalSecondaryIndex
	for _, i := range Indexes() {
		kind := types.ScalarAttributeTypeS
		if i.SortIsNumber {
			kind = types.ScalarAttributeTypeN
		}
		attributes = append(attributes, attribute(i.Partition, types.ScalarAttributeTypeS), attribute(i.Sort, kind))
		indexes = append(indexes, types.GlobalSecondaryIndex{
			IndexName: &i.Name, KeySchema: keys(i.Partition, i.Sort),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeInclude, NonKeyAttributes: i.Attributes},
		})
	}
	_, err := s.db.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: &s.table, BillingMode: types.BillingModePayPerRequest, KeySchema: keys("pk", "sk"),
		AttributeDefinitions: attributes, GlobalSecondaryIndexes: indexes,
	})
	var there *types.ResourceInUseException
	if err != nil && !errors.As(err, &there) {
		return Readable("create the table", err)
	}
	waiter := dynamodb.NewTableExistsWaiter(s.db)
	return Readable("create the table", waiter.Wait(ctx, &dynamodb.DescribeTableInput{TableName: aws.String(s.table)}, time.Minute))
}
